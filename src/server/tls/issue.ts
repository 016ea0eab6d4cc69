/**
 * Issues certificates: an authority of the server's own, and what it signs. P-256, as Node, curl and every browser take it.
 *
 * Never    touches a disk or a clock.
 * Callers  issue-worker.ts alone: the library takes 20 MB that are given back when the worker ends.
 */
import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { createPrivateKey, KeyObject, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Longer than the machines: whoever pinned it must not be locked out by a date. */
const AUTHORITY_DAYS = 25 * 365;
/** Well below the 825 days that Apple's systems take, together with BACKDATED_DAYS. */
const SERVER_DAYS = 90;
/** Machines whose clock lags, such as those without a battery that were off for a year, must get back in; the past is no secret. */
const BACKDATED_DAYS = 400;

/** Both in PEM. */
export interface Issued {
  readonly key: string;
  readonly certificate: string;
}

export type IssueTask =
  | { readonly kind: 'authority'; readonly id: string; readonly nowMs: number }
  /** `names`: DNS names and IP addresses */
  | { readonly kind: 'server'; readonly authority: Issued; readonly names: readonly string[]; readonly nowMs: number }
  /** says of `authority` what its own certificate says, in the name of `elder` */
  | { readonly kind: 'cross'; readonly authority: Issued; readonly elder: Issued };

/** Of a cross certificate `key` is that of the authority. */
export async function issue(task: IssueTask): Promise<Issued> {
  switch (task.kind) {
    case 'authority':
      return await issueAuthority(task);
    case 'server':
      return await issueServer(task);
    case 'cross':
      return await issueCross(task);
    default:
      return task satisfies never;
  }
}

async function issueAuthority({ id, nowMs }: Extract<IssueTask, { kind: 'authority' }>): Promise<Issued> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=Caravanserai authority ${id}`,
    notBefore: new Date(nowMs - BACKDATED_DAYS * DAY_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [...AUTHORITY_EXTENSIONS(), await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  return { key: toPem(keys.privateKey), certificate: `${certificate.toString('pem')}\n` };
}

async function issueServer({ authority, names, nowMs }: Extract<IssueTask, { kind: 'server' }>): Promise<Issued> {
  const keys = await newKeys();
  const issuer = new X509Certificate(authority.certificate);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: 'CN=cara-server',
    issuer: issuer.subject,
    notBefore: new Date(nowMs - BACKDATED_DAYS * DAY_MS),
    notAfter: new Date(nowMs + SERVER_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey: await toSigningKey(authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { key: toPem(keys.privateKey), certificate: `${certificate.toString('pem')}\n` };
}

async function issueCross({ authority, elder }: Extract<IssueTask, { kind: 'cross' }>): Promise<Issued> {
  const own = new X509Certificate(authority.certificate);
  const issuer = new X509Certificate(elder.certificate);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: own.subject,
    issuer: issuer.subject,
    notBefore: own.notBefore,
    notAfter: issuer.notAfter < own.notAfter ? issuer.notAfter : own.notAfter,
    signingAlgorithm: SIGNATURE,
    publicKey: own.publicKey,
    signingKey: await toSigningKey(elder.key),
    extensions: [
      ...AUTHORITY_EXTENSIONS(),
      await SubjectKeyIdentifierExtension.create(own.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { key: authority.key, certificate: `${certificate.toString('pem')}\n` };
}

const AUTHORITY_EXTENSIONS = () => [
  new BasicConstraintsExtension(true, undefined, true), // no path length: a cross certificate lengthens the path
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
];

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await globalThis.crypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
}

async function toSigningKey(pem: string): Promise<webcrypto.CryptoKey> {
  return createPrivateKey(pem).toCryptoKey(KEY, false, ['sign']);
}

function toPem(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Positive, of 127 random bits. Source: RFC 5280 section 4.1.2.2 */
function newSerial(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
