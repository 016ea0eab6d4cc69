/**
 * Mirror: all objects of one kind, kept in step with the store, for the server's controllers to read without waiting.
 *
 * Owns     a Map name -> object, holding the store's own frozen objects.
 * Never    runs ahead of the store or out of its order. It may be behind, as any reader may: what is decided from it is written with
 *          compare-and-set.
 * Callers  controllers read it and wake on `onChange`; composition.ts and the start-….ts of the folders spawn `run`.
 */
import { hasReason } from '../api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Change, Store, StoredObject } from './store.ts';

/** ms; how long to wait before another try while the store does not answer. */
const RETRY_MS = 1_000;

export type MirrorListener<Item extends StoredObject> = (change: Change<Item>) => void;

export interface Mirror<Item extends StoredObject> {
  get(name: string): Item | undefined;
  /** name -> object; a live view, in no particular order */
  items(): ReadonlyMap<string, Item>;
  /** The version up to which nothing of this kind is missing; 0 before the first list. */
  readonly version: number;
  /** Lists, then follows, until `signal` aborts. Call once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once the first list is in. */
  ready(): Promise<void>;
  /**
   * Tells `listener` of each change, after it is in the Map; of what a list brings too. For waking loops: a listener must not throw or
   * write. @returns what unsubscribes it
   */
  onChange(listener: MirrorListener<Item>): () => void;
}

export function createMirror<Item extends StoredObject>(deps: {
  readonly store: Store;
  readonly kind: Item['kind'];
  readonly clock: Clock;
  readonly log: Logger;
}): Mirror<Item> {
  const { store, kind, clock } = deps;
  const log = deps.log.child({ component: 'mirror', kind });
  const items = new Map<string, Item>();
  const listeners = new Set<MirrorListener<Item>>();
  const firstList = Promise.withResolvers<void>();
  let version = 0;
  let isFailing = false;

  const take = (change: Change<Item>): void => {
    const { name } = change.object.metadata;
    if (change.type === 'DELETED') {
      items.delete(name);
    } else {
      items.set(name, change.object);
    }
    for (const listener of listeners) {
      listener(change);
    }
  };

  /** Takes in a list as the changes that lead to it from what is here. */
  const takeList = async (): Promise<void> => {
    const listing = await store.list<Item>(kind);
    const gone = new Map(items);
    for (const object of listing.items) {
      const previous = items.get(object.metadata.name);
      gone.delete(object.metadata.name);
      if (previous === undefined) {
        take({ type: 'ADDED', version: listing.version, object });
      } else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
        take({ type: 'MODIFIED', version: listing.version, object, previous });
      }
    }
    for (const object of gone.values()) {
      take({ type: 'DELETED', version: listing.version, object, previous: object });
    }
    version = listing.version;
    isFailing = false;
    firstList.resolve();
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    await takeList();
    for await (const batch of store.watchBatches<Item>(kind, version, signal)) {
      for (const item of batch) {
        version = item.version;
        if (item.type !== 'BOOKMARK') {
          take(item);
        }
      }
    }
  };

  return {
    get: (name) => items.get(name),
    items: () => items,
    get version() {
      return version;
    },
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await follow(signal);
        } catch (error) {
          if (hasReason(error, 'Expired')) {
            log.info({ resourceVersion: version }, 'mirror fell behind, listing again');
          } else if (hasReason(error, 'Unavailable')) {
            if (!isFailing) {
              log.warn({ err: error }, 'mirror cannot read the store');
            }
            isFailing = true;
            await clock.sleep(RETRY_MS, signal);
          } else {
            throw error;
          }
        }
      }
    },
    ready: () => firstList.promise,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
