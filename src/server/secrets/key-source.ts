/**
 * Key source: where the keys of Secrets are kept, and what is done when they do not fit what is stored.
 *
 * Owns     DATA_DIR/secret.key, made at the first start: readable by its owner alone, and replaced whole.
 * Never    makes a key while there are Secrets under another one: they would be lost for good. Never shows a part of a key.
 * Callers  start-secrets.ts; rotate-keys.ts.
 */
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.ts';
import { isAbsence } from '../../base/file-error.ts';
import type { Logger } from '../../base/log.ts';
import { StartError } from '../../base/program.ts';
import type { Store } from '../../store/store.ts';
import { formatKeys, newKey, parseKeys, toKeyring, type Keyring } from './keyring.ts';
import { SECRET_KIND, type StoredSecret } from './stored-secret.ts';

export interface KeySettings {
  readonly DATA_DIR: string;
  /** the keys themselves, the first being the one for writing */
  readonly SECRETS_KEY: string | undefined;
  /** a file with keys that somebody else keeps */
  readonly SECRETS_KEY_FILE: string | undefined;
}

export type KeySource =
  | { readonly kind: 'setting'; readonly name: 'SECRETS_KEY' }
  /** `isOurs`: made by the server itself where there is none */
  | { readonly kind: 'file'; readonly path: string; readonly isOurs: boolean };

/** @throws {StartError} when both settings are given */
export function findKeySource({ DATA_DIR, SECRETS_KEY, SECRETS_KEY_FILE }: KeySettings): KeySource {
  if (SECRETS_KEY !== undefined && SECRETS_KEY_FILE !== undefined) {
    throw new StartError(
      'Cannot tell where the keys of Secrets are as both SECRETS_KEY and SECRETS_KEY_FILE are given: leave out one of them',
    );
  }
  if (SECRETS_KEY !== undefined) {
    return { kind: 'setting', name: 'SECRETS_KEY' };
  }
  return { kind: 'file', path: SECRETS_KEY_FILE ?? join(DATA_DIR, 'secret.key'), isOurs: SECRETS_KEY_FILE === undefined };
}

/** For messages. */
export function describeSource(source: KeySource): string {
  return source.kind === 'setting' ? source.name : source.path;
}

/** The keys, checked against what is stored; makes the first one. @throws {StartError} naming the file when they are missing or others */
export async function loadKeyring(
  settings: KeySettings,
  { store, log }: { readonly store: Store; readonly log: Logger },
): Promise<Keyring> {
  const source = findKeySource(settings);
  const stored = (await store.list<StoredSecret>(SECRET_KIND)).items;
  const keyring = (await readKeys(settings, source)) ?? (await makeKeys(source, stored, log));
  const unreadable = listUnreadable(keyring, stored);
  if (unreadable.length > 0) {
    throw new StartError(
      `Cannot read ${countSecrets(unreadable.length, stored.length)} as ${describeSource(source)} does not have the key that they were encrypted under (${listMissingKeys(keyring, stored).join(', ')}): put the right file back from a backup; if it is lost for good, run "cara-server rotate-secrets-key --drop-unreadable", which deletes those Secrets`,
    );
  }
  return keyring;
}

/** @returns undefined when our own file is not there @throws {StartError} */
export async function readKeys({ SECRETS_KEY }: Pick<KeySettings, 'SECRETS_KEY'>, source: KeySource): Promise<Keyring | undefined> {
  const text = source.kind === 'setting' ? (SECRETS_KEY ?? '') : await readKeyFile(source);
  if (text === undefined) {
    return undefined;
  }
  try {
    return parseKeys(text);
  } catch (error) {
    if (!(error instanceof RangeError)) {
      throw error;
    }
    throw new StartError(`Cannot use the keys of Secrets in ${describeSource(source)} as ${error.message}`, { cause: error });
  }
}

async function readKeyFile({ path, isOurs }: Extract<KeySource, { kind: 'file' }>): Promise<string | undefined> {
  try {
    if (isOurs && ((await stat(path)).mode & 0o077) !== 0) {
      await chmod(path, 0o600);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    const isMissing = isAbsence(error);
    if (isMissing && isOurs) {
      return undefined;
    }
    const why = isMissing ? 'there is no such file' : error instanceof Error ? error.message : String(error);
    throw new StartError(`Cannot read the keys of Secrets from ${path} as ${why}: put the file there, readable for this user`, {
      cause: error,
    });
  }
}

async function makeKeys(source: KeySource, stored: readonly StoredSecret[], log: Logger): Promise<Keyring> {
  const path = describeSource(source);
  if (stored.length > 0) {
    throw new StartError(
      `Cannot read the ${stored.length} Secrets that are stored as the file with their keys is missing: put ${path} back from a backup; if it is lost for good, run "cara-server rotate-secrets-key --drop-unreadable", which deletes those Secrets`,
    );
  }
  const key = newKey();
  await writeKeys(path, [key]);
  log.info({ path, keyId: key.id }, 'key of secrets made');
  return toKeyring(key);
}

/** Replaces the content of a key file; when this resolves it is on disk. @throws {StartError} */
export async function writeKeys(path: string, keys: Parameters<typeof formatKeys>[0]): Promise<void> {
  try {
    await writeFileAtomically(path, formatKeys(keys));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`Cannot write the keys of Secrets to ${path} as ${why}`, { cause: error });
  }
}

/** The Secrets with a value whose key is not in `keyring`. */
function listUnreadable({ byId }: Keyring, stored: readonly StoredSecret[]): readonly StoredSecret[] {
  return stored.filter(({ spec }) => Object.values(spec.values).some(({ keyId }) => !byId.has(keyId)));
}

function listMissingKeys({ byId }: Keyring, stored: readonly StoredSecret[]): readonly string[] {
  const ids = new Set(stored.flatMap(({ spec }) => Object.values(spec.values).map(({ keyId }) => keyId)));
  return [...ids].filter((id) => !byId.has(id));
}

function countSecrets(some: number, all: number): string {
  return some === all
    ? `the ${all === 1 ? 'Secret' : `${all} Secrets`} that ${all === 1 ? 'is' : 'are'} stored`
    : `${some} of ${all} Secrets`;
}
