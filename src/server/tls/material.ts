/** What a server shows of itself, and what is said of it. */
import type { X509Certificate } from 'node:crypto';
import { parseFingerprint } from '../../api/fingerprint.ts';

/** Everything in PEM. */
export interface TlsMaterial {
  readonly key: string;
  /** the server's own first */
  readonly chain: string;
  /** the authorities that clients pin; the first is the one that new ones are told of. None: everybody's own list of authorities decides */
  readonly roots: readonly string[];
  /** of the first root */
  readonly fingerprint: string | undefined;
  /** wall ms */
  readonly expiresAtMs: number;
  readonly names: readonly string[];
  /** what is wrong with it though it works, in sentences */
  readonly warnings?: readonly string[];
}

export function fingerprintOf(certificate: X509Certificate): string {
  return parseFingerprint(certificate.fingerprint256) ?? '';
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}
