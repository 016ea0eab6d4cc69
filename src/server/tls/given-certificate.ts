/** A certificate that somebody else keeps, in the files that TLS_CERT and TLS_KEY name. Callers: start-tls.ts; tls-keeper.ts has it read anew whenever they change. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { explainFileError } from '../../base/file-error.ts';
import { splitPem } from '../../base/pem.ts';
import { StartError } from '../../base/program.ts';
import { fingerprintOf, isSelfSigned, type TlsMaterial } from './material.ts';
import { readNames } from './names.ts';

export interface GivenFiles {
  readonly TLS_CERT: string | undefined;
  readonly TLS_KEY: string | undefined;
}

/** @throws {StartError} that names the setting and the file */
export async function readGiven({ TLS_CERT, TLS_KEY }: GivenFiles, nowMs: number): Promise<TlsMaterial> {
  if (TLS_CERT === undefined || TLS_KEY === undefined) {
    const [given, missing] = TLS_CERT === undefined ? ['TLS_KEY', 'TLS_CERT'] : ['TLS_CERT', 'TLS_KEY'];
    throw new StartError(`Cannot use ${given} without ${missing}: set both, or neither for a certificate of the server's own`);
  }
  const chain = parseChain(await read('TLS_CERT', TLS_CERT), TLS_CERT);
  const key = parseKey(await read('TLS_KEY', TLS_KEY), TLS_KEY);
  const [own] = chain;
  if (own === undefined) {
    throw new StartError(`Cannot use TLS_CERT as ${TLS_CERT} holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----`);
  }
  if (!own.checkPrivateKey(key)) {
    throw new StartError(
      `Cannot use TLS_CERT and TLS_KEY as the key in ${TLS_KEY} is not that of the first certificate in ${TLS_CERT}: the server's own certificate must come first`,
    );
  }
  if (own.validToDate.getTime() <= nowMs) {
    throw new StartError(`Cannot use TLS_CERT as the certificate in ${TLS_CERT} expired at ${own.validToDate.toISOString()}: renew it`);
  }
  const pems = { key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), chain: chain.map(String).join('') };
  try {
    createSecureContext({ key: pems.key, cert: pems.chain });
  } catch (error) {
    throw new StartError(`Cannot use TLS_CERT as OpenSSL refuses the certificate in ${TLS_CERT}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const last = chain.at(-1) ?? own;
  const root = isSelfSigned(last) ? last : undefined;
  return {
    ...pems,
    roots: root === undefined ? [] : [String(root)],
    fingerprint: root === undefined ? undefined : fingerprintOf(root),
    expiresAtMs: own.validToDate.getTime(),
    names: readNames(own.subjectAltName),
    warnings: await warnOfReaders(TLS_KEY),
  };
}

/** Of everyone, not of a group: that is how many systems hand keys to the programs that serve with them. */
async function warnOfReaders(path: string): Promise<readonly string[]> {
  const { mode } = await stat(path);
  const warning = `Everyone on this machine can read TLS_KEY in ${path}, and so pose as this server: chmod 640 it: current mode is ${(mode & 0o777).toString(8)}`;
  return (mode & 0o004) === 0 ? [] : [warning];
}

async function read(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new StartError(`Cannot use ${setting} as ${path} cannot be read: ${explainFileError(error)}`, { cause: error });
  }
}

function parseChain(text: string, path: string): readonly X509Certificate[] {
  try {
    return splitPem(text).certificates.map((pem) => new X509Certificate(pem));
  } catch (error) {
    throw new StartError(`Cannot use TLS_CERT as a certificate in ${path} is broken`, { cause: error });
  }
}

function parseKey(text: string, path: string): KeyObject {
  const [pem] = splitPem(text).keys;
  if (/ENCRYPTED/u.test(text)) {
    throw new StartError(
      `Cannot use TLS_KEY as the key in ${path} is encrypted: take off its passphrase (openssl pkey -in FILE -out FILE)`,
    );
  }
  try {
    return createPrivateKey(pem ?? '');
  } catch (error) {
    throw new StartError(`Cannot use TLS_KEY as ${path} holds no private key in PEM`, { cause: error });
  }
}
