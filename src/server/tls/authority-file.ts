/**
 * Authority file: the authority that this server signs its certificates with, made at the first start.
 *
 * Owns     DATA_DIR/tls/authority.pem: its key, its certificate, then the certificates of elder authorities and the cross certificates by
 *          which these vouch for their successors. One file, so that it is there whole or not at all. DATA_DIR/tls/ca.pem: what of it
 *          everybody may know, for curl and browsers.
 * Never    makes an authority where one cannot be read: every agent would refuse the server from then on.
 * Callers  own-certificates.ts, tls-command.ts
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.ts';
import { makeDataDir } from '../../base/data-dir.ts';
import { explainFileError, isAbsence } from '../../base/file-error.ts';
import { splitPem } from '../../base/pem.ts';
import { keepPrivate } from '../../base/private-files.ts';
import { StartError } from '../../base/program.ts';
import type { Issued } from './issue.ts';
import { isSelfSigned } from './material.ts';

export interface Authority extends Issued {
  /** certificates of those before it that are still vouched for, newest first */
  readonly elders: readonly string[];
  /** what elders say of their successors */
  readonly crosses: readonly string[];
}

export function tlsFolder(dataDir: string): string {
  return join(dataDir, 'tls');
}

/** @returns undefined where there is none yet @throws {StartError} */
export async function readAuthority(folder: string): Promise<Authority | undefined> {
  const path = join(folder, 'authority.pem');
  let text: string;
  try {
    await keepPrivate(path);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsence(error)) {
      return undefined;
    }
    throw new StartError(`Cannot read the authority of this server's certificates from ${path} as ${explainFileError(error)}`, {
      cause: error,
    });
  }
  return parseAuthority(text, path);
}

/** @param origin for the message @throws {StartError} */
export function parseAuthority(text: string, origin: string): Authority {
  const {
    certificates: [certificate, ...others],
    keys: [key],
  } = splitPem(text);
  try {
    if (certificate !== undefined && key !== undefined) {
      const parsed = others.map((pem) => ({ pem, isRoot: isSelfSigned(new X509Certificate(pem)) }));
      new X509Certificate(certificate);
      return {
        key,
        certificate,
        elders: parsed.filter(({ isRoot }) => isRoot).map(({ pem }) => pem),
        crosses: parsed.filter(({ isRoot }) => !isRoot).map(({ pem }) => pem),
      };
    }
  } catch {
    // told below, without what the parser read
  }
  throw new StartError(
    `Cannot use ${origin} as it does not hold a key and its certificate: put the file back from a backup; ` +
      'if it is lost for good, remove it, and give every agent the fingerprint of the new authority (CA_FINGERPRINT)',
  );
}

export function formatAuthority({ key, certificate, elders, crosses }: Authority): string {
  return [key, certificate, ...elders, ...crosses].join('');
}

/** When this resolves it is on disk. @throws {StartError} */
export async function writeAuthority(folder: string, authority: Authority): Promise<void> {
  await write(folder, 'authority.pem', formatAuthority(authority));
  await publish(folder, authority);
}

/** Puts the public part beside it. @throws {StartError} */
export async function publish(folder: string, { certificate, elders }: Authority): Promise<void> {
  await write(folder, 'ca.pem', [certificate, ...elders].join(''));
}

/** @throws {StartError} */
export async function write(folder: string, name: string, content: string): Promise<void> {
  const path = join(folder, name);
  try {
    await makeDataDir(folder);
    await writeFileAtomically(path, content);
  } catch (error) {
    throw new StartError(`Cannot write ${path} as ${explainFileError(error)}`, { cause: error });
  }
}
