/** The fingerprint of a certificate: what a token's command and a context say of the authority that a server's certificate comes from. */
import type { Grammar } from './names.ts';

export const FINGERPRINT = {
  pattern: '^sha256:[0-9a-f]{64}$',
  expects: 'the SHA-256 of a certificate, such as sha256:9f86d081… with 64 digits, as "cara-server tls show" prints it',
  maxLength: 71,
} as const satisfies Grammar;

/** Where a server shows its authorities, in PEM. */
export const CA_PATH = '/api/v1/ca';

/** Reads what people have at hand: with or without "sha256:", in either case, apart by colons as OpenSSL writes it; undefined for none. */
export function parseFingerprint(text: string): string | undefined {
  const digits = /^(?:sha-?256[:=])?([0-9a-f:]{64,95})$/u.exec(text.trim().toLowerCase())?.[1]?.replaceAll(':', '');
  return digits?.length === 64 ? `sha256:${digits}` : undefined;
}
