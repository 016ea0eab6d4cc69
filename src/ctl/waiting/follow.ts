/**
 * Follows resources: what is there, then each change, over broken connections and restarts of the server.
 *
 * Level-triggered: after every break it reads anew and says `listed`, so a consumer that missed something is set right. Where a server
 * cannot watch, that is polling.
 *
 * Callers  track.ts (apply --wait, delete), watch-resources.ts (get --watch), commands/events.ts.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import { Backoff } from '../../base/backoff.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { ListQuery, ResourceClient } from '../../client/resource-client.ts';

/** A watch is begun anew this often: a connection that died without a word costs at most so long. */
const WATCH_MS = 30_000;
const RETRY = { baseMs: 250, capMs: 3000 }; // a person is waiting

export interface Named {
  readonly metadata: ObjectMeta;
}

export type FollowEvent<Item> =
  /** everything that is there now; what is not among it is gone */
  | { readonly kind: 'listed'; readonly items: readonly Item[]; readonly warnings: readonly string[] }
  | { readonly kind: 'changed'; readonly object: Item }
  | { readonly kind: 'gone'; readonly object: Item }
  /** the server cannot be reached or refuses for now; tried again until it answers */
  | { readonly kind: 'away'; readonly error: ApiError };

/** What is followed. Without `find`, one of a name is looked for among all. */
export type Followed<Item> = Pick<ResourceClient<Item>, 'list' | 'watch'> & Partial<Pick<ResourceClient<Item>, 'find'>>;

export interface FollowOptions<Item> {
  readonly resource: Followed<Item>;
  readonly query: ListQuery;
  /** follow this one alone */
  readonly name?: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** Ends only by `signal`, whose reason it throws. @throws {ApiError} when the server refuses for good */
export async function* follow<Item extends Named>(options: FollowOptions<Item>, signal: AbortSignal): AsyncGenerator<FollowEvent<Item>> {
  const { resource, query, name, clock, random } = options;
  const backoff = new Backoff(RETRY, random);
  let isVersionUsable = true;
  for (;;) {
    signal.throwIfAborted();
    using watch = withDeadline(clock, WATCH_MS, signal);
    try {
      const { items, since, warnings } = await read(options, { isVersionUsable }, signal);
      yield { kind: 'listed', items, warnings };
      for await (const event of resource.watch({ ...query, since }, watch.signal)) {
        backoff.reset();
        if (event.type !== 'BOOKMARK' && (name === undefined || event.object.metadata.name === name)) {
          yield { kind: event.type === 'DELETED' ? 'gone' : 'changed', object: event.object };
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      if (watch.signal.aborted) {
        continue;
      }
      if (!isPassing(error)) {
        throw error;
      }
      if (hasReason(error, 'Expired')) {
        isVersionUsable = false; // the object's own version is older than the change log: only a list tells a newer one
      } else {
        yield { kind: 'away', error };
      }
    }
    await clock.sleep(backoff.nextMs(), signal);
  }
}

/** What is there, and the version to watch from. One object is read alone: a list costs with the fleet. */
async function read<Item extends Named>(
  { resource, query, name }: FollowOptions<Item>,
  { isVersionUsable }: { readonly isVersionUsable: boolean },
  signal: AbortSignal,
): Promise<{ readonly items: readonly Item[]; readonly since: string; readonly warnings: readonly string[] }> {
  if (name !== undefined && isVersionUsable) {
    const object = await resource.find?.(name, signal);
    if (object !== undefined) {
      return { items: [object], since: object.metadata.resourceVersion, warnings: [] };
    }
  }
  const { items, metadata, warnings = [] } = await resource.list(query, signal);
  const wanted = name === undefined ? items : items.filter((item) => item.metadata.name === name);
  return { items: wanted, since: metadata.resourceVersion, warnings };
}

function isPassing(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.isRetryable || error.reason === 'Internal');
}
