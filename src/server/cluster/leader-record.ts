/**
 * Leader record: who leads, as a document, so that whatever a leader writes can be made to depend on it.
 *
 * Each time somebody begins to lead the record is written anew. A commit that checks its version is done only while nobody else has begun
 * since: an ex-leader that was paused, or cut off, changes nothing.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import { newMeta, putOver } from '../objects/record.ts';

/** Internal: users see it as the role in /api/v1/servers. */
const KIND = 'Leader';
const NAME = 'leader';

/** Who a server is, to the others. */
export interface ServerIdentity {
  /** made at each start of the process */
  readonly id: string;
  /** for people */
  readonly name: string;
  /** where the other servers reach it */
  readonly url: string;
}

export interface LeaderRecord extends StoredObject {
  readonly kind: typeof KIND;
  /** +1 each time somebody begins to lead */
  readonly epoch: number;
  readonly server: ServerIdentity;
}

export async function findLeader(store: Store): Promise<LeaderRecord | undefined> {
  return await store.get<LeaderRecord>(KIND, NAME);
}

/** Writes down that `server` leads from now on. To be called with the lock held. @throws {ApiError} Unavailable, Conflict */
export async function writeLeader(store: Store, server: ServerIdentity, clock: Clock): Promise<LeaderRecord> {
  await store.refresh();
  const before = await findLeader(store);
  const now = nowRfc3339(clock);
  const object = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { ...(before?.metadata ?? newMeta(NAME, server.id, now)), updatedAt: now },
    epoch: (before?.epoch ?? 0) + 1,
    server,
  } satisfies Draft<LeaderRecord>;
  const [stored] = await store.commit([putOver(before, object)]);
  return stored as LeaderRecord;
}

/** Whose writes these are. */
export interface Tenure {
  /** whether its leadership has been put down: what requests under way still write would be judged by leases that nobody keeps any more */
  readonly isOver: () => boolean;
  readonly onDeposed: () => void;
}

/** The store as the leader of `record` writes to it: not at all any more once somebody else leads, or it is over. */
export function fenceStore(store: Store, record: LeaderRecord, { isOver, onDeposed }: Tenure): Store {
  const expectedVersion = record.metadata.resourceVersion;
  return {
    get: (kind, name) => store.get(kind, name),
    list: (kind, page) => store.list(kind, page),
    watch: (kind, since, signal) => store.watch(kind, since, signal),
    watchBatches: (kind, since, signal, topic) => store.watchBatches(kind, since, signal, topic),
    refresh: () => store.refresh(),
    snapshot: () => store.snapshot(),
    size: () => store.size(),
    version: () => store.version(),
    ping: () => store.ping(),
    close: () => store.close(),
    commit: async (writes) => {
      if (writes.length === 0) {
        return [];
      }
      if (isOver()) {
        throw new ApiError('Unavailable', 'Cannot write as this server leads no longer, try again', { retryAfterMs: 1000 });
      }
      try {
        const [, ...results] = await store.commit([{ op: 'check', kind: KIND, name: NAME, expectedVersion }, ...writes]);
        return results;
      } catch (error) {
        if (hasReason(error, 'Conflict') && (await findLeader(store))?.metadata.resourceVersion !== expectedVersion) {
          onDeposed();
          throw new ApiError('Unavailable', 'Cannot write as another server leads now, try again', { cause: error, retryAfterMs: 1000 });
        }
        throw error;
      }
    },
  };
}
