/**
 * Shared authority: of several servers on one database one authority is that of all, as agents pin one.
 *
 * Owns     the sealed copy in the database. Each server keeps a copy in its own file: by that it goes on where the one in the database
 *          cannot be opened, as after the key of Secrets was rotated.
 * Callers  start-tls.ts
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import { StartError } from '../../base/program.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import type { SealedValue, Sealer } from '../secrets/sealer.ts';
import { newMeta, putOver } from '../objects/record.ts';
import { formatAuthority, parseAuthority, readAuthority, writeAuthority, type Authority } from './authority-file.ts';

/** Internal: users do not see it. */
const KIND = 'TlsAuthority';
const NAME = 'tls-authority';

interface AuthorityRecord extends StoredObject {
  readonly kind: typeof KIND;
  readonly sealed: SealedValue;
}

export interface SharedAuthorityDeps {
  readonly folder: string;
  readonly store: Store;
  readonly sealer: Sealer;
  readonly random: Random;
  readonly clock: Clock;
}

/** @param make called where there is none @throws {StartError, ApiError} */
export async function loadShared(deps: SharedAuthorityDeps, make: () => Promise<Authority>): Promise<Authority> {
  const { folder, store } = deps;
  const local = await readAuthority(folder);
  const record = await store.get<AuthorityRecord>(KIND, NAME);
  const shared = record === undefined ? undefined : open(record, deps);
  const authority = shared ?? local ?? (record === undefined ? await make() : refuse());
  if (shared === undefined) {
    try {
      await share(authority, record, deps);
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists', 'Conflict')) {
        throw error;
      }
      return await loadShared(deps, make); // another server was first
    }
  }
  if (local === undefined || formatAuthority(local) !== formatAuthority(authority)) {
    await writeAuthority(folder, authority);
  }
  return authority;
}

/** Makes `authority` that of all servers. @throws {ApiError} Conflict, AlreadyExists where another server did so meanwhile */
export async function share(
  authority: Authority,
  before: StoredObject | undefined,
  deps: Omit<SharedAuthorityDeps, 'folder'>,
): Promise<void> {
  const { store, sealer, random, clock } = deps;
  const now = nowRfc3339(clock);
  const metadata = before?.metadata ?? newMeta(NAME, random.uuid(), now);
  const sealed = sealer.seal(placeOf(metadata.uid), Buffer.from(formatAuthority(authority)));
  const object = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { ...metadata, updatedAt: now },
    sealed,
  } satisfies Draft<AuthorityRecord>;
  await store.commit([putOver(before, object)]);
}

/** The record, for `share`. */
export async function findSharedRecord(store: Store): Promise<StoredObject | undefined> {
  return await store.get<AuthorityRecord>(KIND, NAME);
}

function open({ metadata: { uid }, sealed }: AuthorityRecord, { sealer }: SharedAuthorityDeps): Authority | undefined {
  const text = sealer.tryOpen(placeOf(uid), sealed);
  return text === undefined ? undefined : parseAuthority(text.toString(), 'the authority in the database');
}

function placeOf(uid: string) {
  return { secret: NAME, uid, key: 'authority.pem' };
}

function refuse(): never {
  throw new StartError(
    'Cannot open the authority of the servers on this database as it is encrypted under another key of Secrets: copy DATA_DIR/tls/authority.pem of another server here',
  );
}

/** What the store refuses, in words for people. */
export function toStartError(error: unknown): unknown {
  return error instanceof ApiError
    ? new StartError(`Cannot load the authority of the servers on this database: ${error.message}`, { cause: error })
    : error;
}
