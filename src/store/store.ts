/**
 * Store: the durable state of the control plane, as documents with compare-and-set and a change log.
 *
 * Guarantees, kept by every backend and checked by one contract suite:
 *
 * - Durable: when `commit` has returned, the writes survive a kill or a power cut (memory: the process).
 * - Atomic: the writes of one `commit` are all there or none is.
 * - Ordered: each change gets a version of its own, greater than all before it; versions never repeat, also over restarts and deletes.
 * - Compare-and-set: a write that names `expectedVersion` happens only while the object is at that version.
 * - Read your writes: a `get` or `list` begun after `commit` returned sees it, on the same server; after `refresh`, on any.
 * - Reads never step back, on one server.
 * - Watch: `watch(kind, since)` gives every change of that kind with a version > since, once, in order, without gap; then goes on
 *   with those to come. When the log no longer reaches back to `since` it throws Expired and never gives a partial history.
 * - A `list` and a `watch` from the list's version together miss nothing and repeat nothing.
 *
 * Documents are frozen: whoever wants another value writes it.
 */
import type { ObjectMeta } from '../api/meta.ts';
import type { Topic } from './topic.ts';

/** Any stored object. `kind` may be one that users do not see (a tombstone). */
export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** What a write gives: the store itself sets metadata.resourceVersion. */
export type Draft<Item extends StoredObject = StoredObject> = Omit<Item, 'metadata'> & {
  readonly metadata: Omit<ObjectMeta, 'resourceVersion'> & { readonly resourceVersion?: string };
};

export type Write =
  /** @throws AlreadyExists */
  | { readonly op: 'create'; readonly object: Draft }
  /** @throws NotFound; Conflict when `expectedVersion` is given and no longer current */
  | { readonly op: 'update'; readonly object: Draft; readonly expectedVersion?: string }
  /** @throws NotFound, Conflict as above */
  | { readonly op: 'delete'; readonly kind: string; readonly name: string; readonly expectedVersion?: string }
  /** writes nothing: the commit happens only while the object is at this version (undefined: while there is none). @throws Conflict */
  | { readonly op: 'check'; readonly kind: string; readonly name: string; readonly expectedVersion: string | undefined };

/** A change as the log has it. */
export interface Change<Item extends StoredObject = StoredObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  /** the state after the change; of a DELETED one the last state, its resourceVersion being that of the deletion */
  readonly object: Item;
  /** the state before, so that a filtered watch can tell what left its view; absent for ADDED, and where the log no longer has it */
  readonly previous?: Item;
}

/** What a watch gives: changes, and now and then a bookmark: nothing of this kind is missing up to `version`. */
export type WatchItem<Item extends StoredObject = StoredObject> = Change<Item> | { readonly type: 'BOOKMARK'; readonly version: number };

export interface Listing<Item extends StoredObject = StoredObject> {
  /** sorted by name, by code unit */
  readonly items: readonly Item[];
  /** the store's version that this list shows; watch from here */
  readonly version: number;
}

/** What of a kind to list: after a name, so many, of one topic. */
export interface Page {
  readonly after?: string;
  readonly limit?: number;
  readonly topic?: Topic | undefined;
}

/** All there is at one moment. */
export interface Snapshot {
  readonly version: number;
  /** each object as JSON, of every kind, in no particular order; may be read at leisure, once */
  readonly documents: Iterable<string>;
}

export interface Store {
  get<Item extends StoredObject = StoredObject>(kind: string, name: string): Promise<Item | undefined>;
  /** All of one kind; `after` (a name) and `limit` page through it; `topic` takes some of it, at the cost of these alone. */
  list<Item extends StoredObject = StoredObject>(kind: string, page?: Page): Promise<Listing<Item>>;
  /**
   * Applies all writes or none, in order, each under a version of its own.
   * @returns the objects as stored, one per write; for a delete its last state, for a check undefined
   * @throws {ApiError} AlreadyExists, NotFound, Conflict; Unavailable when the backend cannot write now
   */
  commit(writes: readonly Write[]): Promise<readonly (StoredObject | undefined)[]>;
  /** @throws {ApiError} Expired when `since` is older than the log or newer than the store; ends when `signal` aborts */
  watch<Item extends StoredObject = StoredObject>(kind: string, since: number, signal: AbortSignal): AsyncIterable<WatchItem<Item>>;
  /**
   * As `watch`, all that is there at once, at most some hundreds: for whoever follows a busy kind. No batch is empty.
   * @param topic only what comes into it, changes in it or leaves it; others may be among it
   */
  watchBatches<Item extends StoredObject = StoredObject>(
    kind: string,
    since: number,
    signal: AbortSignal,
    topic?: Topic,
  ): AsyncIterable<readonly WatchItem<Item>[]>;
  /**
   * Resolves when reads show everything that was committed before this was called, by whatever server: at once where there is but one.
   * @throws {ApiError} Unavailable
   */
  refresh(): Promise<void>;
  /** Every object of every kind, as `refresh` would show them: for a backup. @throws {ApiError} Unavailable */
  snapshot(): Promise<Snapshot>;
  /** Bytes that it takes on disk; 0 where nothing is. @throws {ApiError} Unavailable */
  size(): Promise<number>;
  /** The newest version. */
  version(): Promise<number>;
  /** Resolves when the store answers. @throws {ApiError} Unavailable */
  ping(): Promise<void>;
  close(): Promise<void>;
}
