/**
 * Granted timeout: the longest heartbeat timeout that agents may still go by though this process has a shorter one.
 *
 * A grant of an earlier process is at most as old as this one's start, and lasts for that one's timeout. So a shorter one is written
 * down only when this process has run for the difference: then a later start, which counts from itself, covers the old grants too.
 * Callers  start-nodes.ts
 */
import { hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

/** Internal: users do not see it. */
const KIND = 'GrantedTimeout';
const NAME = 'granted-timeout';

interface GrantedTimeout extends StoredObject {
  readonly kind: typeof KIND;
  readonly timeoutMs: number;
}

export interface GrantedTimeoutDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

export interface EarlierTimeout {
  /** the longest that was granted before, in milliseconds */
  readonly timeoutMs: number;
  /** what is to be done later, when the one of this process is shorter */
  readonly lower?: (signal: AbortSignal) => Promise<void>;
}

/** Reads what was granted before, and writes down what this process grants before it does. @param timeoutMs what it grants */
export async function takeOverTimeout(deps: GrantedTimeoutDeps, timeoutMs: number): Promise<EarlierTimeout> {
  const before = await deps.store.get<GrantedTimeout>(KIND, NAME);
  if (before === undefined || before.timeoutMs < timeoutMs) {
    await write(deps, before, timeoutMs);
    return { timeoutMs };
  }
  if (before.timeoutMs === timeoutMs) {
    return { timeoutMs };
  }
  const differenceMs = before.timeoutMs - timeoutMs;
  const lower = async (signal: AbortSignal): Promise<void> => {
    await deps.clock.sleep(differenceMs, signal);
    await write(deps, before, timeoutMs).catch((error: unknown) => {
      if (!hasReason(error, 'Unavailable', 'Conflict')) {
        throw error;
      } // the next start then waits longer than it must
    });
  };
  return { timeoutMs: before.timeoutMs, lower };
}

async function write({ store, clock, random }: GrantedTimeoutDeps, before: GrantedTimeout | undefined, timeoutMs: number): Promise<void> {
  const now = nowRfc3339(clock);
  if (before !== undefined) {
    const object: GrantedTimeout = { ...before, timeoutMs };
    await store.commit([{ op: 'update', object, expectedVersion: before.metadata.resourceVersion }]);
    return;
  }
  const metadata = newMeta(NAME, random.uuid(), now);
  const object = { apiVersion: API_VERSION, kind: KIND, metadata, timeoutMs } satisfies Draft<GrantedTimeout>;
  await store.commit([{ op: 'create', object }]);
}
