/**
 * Change log: the recent changes of each kind, and everyone who watches them.
 *
 * Owns     per kind the last `logSize` changes at least, and the set of its watchers; one timer for all bookmarks, while anyone watches.
 * Never    queues for a watcher: each has a place in the log and nothing else. One that is so slow that its place has fallen out of the
 *          log gets Expired, and lists again.
 * Callers  document-store.ts and postgres/postgres-store.ts append what is durable and hand out `watch`.
 * Source   Kubernetes' watch cache (a window of changes a kind, "too old resource version", bookmarks).
 *
 * The log is kept per kind so that a busy kind does not push a quiet one's history out. A change wakes the watchers of its kind only, and
 * of those that watch a topic the watchers of that topic only: one that has seen everything waits where it is, however far the log
 * goes on, and is told the place of the next change that is for it.
 */
import { ApiError } from '../api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Change, StoredObject, WatchItem } from './store.ts';
import { TopicWatchers, Watcher } from './watchers.ts';
import { isOfTopic, type Topic } from './topic.ts';

/** Changes kept per kind. Two seconds of the fastest writing we aim for (5,000 placements a second); some 17 MB at 1.7 KB each. */
export const DEFAULT_LOG_SIZE = 10_000;

/** ms; a watcher that saw nothing for one whole period gets a bookmark at its end: so after 15 to 30 s of quiet. */
const BOOKMARK_PERIOD_MS = 15_000;

/** Changes given at once: a turn of a watcher costs as much as some ten of them, and each that is stuck holds so many at most. */
const BATCH_LIMIT = 32;

/** What a backend still has of the past when it opens. */
export interface History {
  /** the newest version */
  readonly version: number;
  /** all changes with a version greater than this are in `changes` */
  readonly floor: number;
  /** in order of version */
  readonly changes: readonly Change[];
}

export class ChangeLog {
  readonly #clock: Clock;
  readonly #logSize: number;
  readonly #kinds = new Map<string, KindLog>();
  #floor: number;
  #version: number;
  #watcherCount = 0;
  #bookmarks: AbortController | undefined;
  #isClosed = false;

  constructor(options: { readonly clock: Clock; readonly logSize: number; readonly history?: History }) {
    this.#clock = options.clock;
    this.#logSize = options.logSize;
    this.#floor = options.history?.floor ?? 0;
    this.#version = options.history?.version ?? 0;
    this.append(options.history?.changes ?? []);
  }

  /** Takes in durable changes, in order of version, and wakes their watchers. */
  append(changes: readonly Change[]): void {
    let touched: KindLog | undefined;
    for (const change of changes) {
      const log = this.#kind(change.object.kind);
      if (log !== touched) {
        touched?.wakeMost();
        touched = log;
      }
      log.push(change, this.#logSize);
      this.#version = change.version;
    }
    touched?.wakeMost();
  }

  /** Takes in a history in place of the one that was here: whoever watches gets Expired. */
  reset(history: History): void {
    this.#floor = history.floor;
    this.#version = history.version;
    for (const log of this.#kinds.values()) {
      log.reset(history.floor);
    }
    this.append(history.changes);
    for (const log of this.#kinds.values()) {
      log.wakeAll();
    }
  }

  /** As `Store.watch`: what `watchBatches` gives, one by one. */
  async *watch<Item extends StoredObject>(kind: string, since: number, signal: AbortSignal): AsyncGenerator<WatchItem<Item>, void, void> {
    for await (const batch of this.watchBatches<Item>(kind, since, signal)) {
      for (const item of batch) {
        if (signal.aborted || this.#isClosed) {
          return;
        }
        yield item;
      }
    }
  }

  /**
   * As `Store.watchBatches`: the changes after `since`; then a bookmark as soon as all that was there at the first call has been given;
   * then what comes, and a bookmark now and then when nothing does. The first batch never has to be waited for.
   */
  async *watchBatches<Item extends StoredObject>(
    kind: string,
    since: number,
    signal: AbortSignal,
    topic?: Topic,
  ): AsyncGenerator<readonly WatchItem<Item>[], void, void> {
    const log = this.#kind(kind);
    const target = this.#version;
    if (signal.aborted || this.#isClosed) {
      return;
    }
    if (!(since >= log.floor && since <= target)) {
      throw expired(kind, since, `the log has ${log.floor} to ${target}`);
    }
    const watcher = new Watcher(topic);
    const place = new Place<Item>(log, watcher, { position: log.positionAfter(since), target });
    const leave = this.#enter(log, watcher, signal);
    try {
      while (!signal.aborted && !this.#isClosed) {
        if (place.isLost) {
          throw expired(kind, since, `this watcher was too slow, the log begins at ${log.floor}`);
        }
        const batch = place.take();
        if (batch.length > 0) {
          yield batch;
        } else if (watcher.takeBookmark()) {
          yield [{ type: 'BOOKMARK', version: this.#version }];
        } else {
          await watcher.sleep();
        }
      }
    } finally {
      leave();
    }
  }

  /** Ends every watch. */
  close(): void {
    this.#isClosed = true;
    this.#bookmarks?.abort();
    for (const log of this.#kinds.values()) {
      log.wakeAll();
    }
  }

  #kind(kind: string): KindLog {
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      return known;
    }
    const log = new KindLog(this.#floor);
    this.#kinds.set(kind, log);
    return log;
  }

  /** @returns what takes the watcher out again; the abort of its signal does so too, even if its consumer never comes back */
  #enter(log: KindLog, watcher: Watcher, signal: AbortSignal): () => void {
    const leave = (): void => {
      signal.removeEventListener('abort', leave);
      watcher.wake();
      if (log.removeWatcher(watcher)) {
        this.#watcherCount -= 1;
      }
      if (this.#watcherCount === 0) {
        this.#bookmarks?.abort();
        this.#bookmarks = undefined;
      }
    };
    signal.addEventListener('abort', leave);
    log.addWatcher(watcher);
    this.#watcherCount += 1;
    if (this.#bookmarks === undefined) {
      this.#bookmarks = new AbortController();
      void this.#runBookmarks(this.#bookmarks.signal); // ends with the last watcher; throws for nothing but a bug
    }
    return leave;
  }

  /** One timer for all watchers: a timer for each would cost more than the watching (10,000 of them, set anew at each change). */
  async #runBookmarks(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(BOOKMARK_PERIOD_MS, signal);
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        throw error;
      }
      for (const log of this.#kinds.values()) {
        for (const watcher of log.watchers()) {
          watcher.endPeriod();
        }
      }
    }
  }
}

/** The changes of one kind, addressed by position: 0 is the first ever taken in, and positions stay when old changes go. */
class KindLog {
  readonly #watchers = new Set<Watcher>();
  readonly #topics = new TopicWatchers();
  readonly #changes: Change[] = [];
  #firstPosition = 0;
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  /** Every change with a version greater than this is here. */
  get floor(): number {
    return this.#floor;
  }

  get firstPosition(): number {
    return this.#firstPosition;
  }

  at(position: number): Change | undefined {
    return this.#changes[position - this.#firstPosition];
  }

  push(change: Change, logSize: number): void {
    this.#topics.tell(change, this.#firstPosition + this.#changes.length);
    this.#changes.push(change);
    // A quarter over before it cuts: dropping one at a time would move the whole array at each change.
    if (this.#changes.length > logSize * 1.25) {
      const dropped = this.#changes.splice(0, this.#changes.length - logSize);
      this.#firstPosition += dropped.length;
      this.#floor = dropped.at(-1)?.version ?? this.#floor;
    }
  }

  /** Forgets all; each position that was given out is before the first. */
  reset(floor: number): void {
    this.#topics.tellAll(this.#firstPosition);
    this.#firstPosition += this.#changes.length + 1;
    this.#changes.length = 0;
    this.#floor = floor;
  }

  /** The position of the first change with a version greater than `version`. */
  positionAfter(version: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? 0) <= version) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return this.#firstPosition + low;
  }

  addWatcher(watcher: Watcher): void {
    if (watcher.topic === undefined) {
      this.#watchers.add(watcher);
    } else {
      this.#topics.add(watcher, watcher.topic);
    }
  }

  /** @returns whether it was here */
  removeWatcher(watcher: Watcher): boolean {
    return watcher.topic === undefined ? this.#watchers.delete(watcher) : this.#topics.delete(watcher, watcher.topic);
  }

  *watchers(): Generator<Watcher> {
    yield* this.#watchers;
    yield* this.#topics.all();
  }

  /** Those of a topic have been told, and woken, already. */
  wakeMost(): void {
    for (const watcher of this.#watchers) {
      watcher.wake();
    }
  }

  wakeAll(): void {
    for (const watcher of this.watchers()) {
      watcher.wake();
    }
  }
}

/** How far one watch has come. */
class Place<Item extends StoredObject> {
  readonly #log: KindLog;
  readonly #watcher: Watcher;
  readonly #target: number;
  #position: number;
  #hasCaughtUp = false;

  /** @param start.target the newest version when the watch began: a bookmark tells when it is reached */
  constructor(log: KindLog, watcher: Watcher, start: { readonly position: number; readonly target: number }) {
    this.#log = log;
    this.#watcher = watcher;
    this.#position = start.position;
    this.#target = start.target;
  }

  /** Whether the log has dropped what comes next. */
  get isLost(): boolean {
    const next = this.#watcher.isIdle ? this.#watcher.nextPosition : this.#position;
    return next !== undefined && next < this.#log.firstPosition;
  }

  /** What has come since the last call, at most BATCH_LIMIT items. */
  take(): readonly WatchItem<Item>[] {
    const watcher = this.#watcher;
    if (watcher.isIdle) {
      const next = watcher.nextPosition;
      if (next === undefined) {
        return [];
      }
      this.#position = next;
      watcher.resume();
    }
    const items: WatchItem<Item>[] = [];
    while (items.length < BATCH_LIMIT) {
      const change = this.#log.at(this.#position);
      if (!this.#hasCaughtUp && (change === undefined || change.version > this.#target)) {
        this.#hasCaughtUp = true;
        items.push({ type: 'BOOKMARK', version: this.#target });
      } else if (change === undefined) {
        watcher.rest();
        break;
      } else {
        this.#position += 1;
        if (watcher.topic === undefined || concerns(change, watcher.topic)) {
          watcher.noteDelivery();
          items.push(change as Change<Item>);
        }
      }
    }
    return items;
  }
}

/** Where the state before is not known, it may have been of the topic. */
function concerns({ type, object, previous }: Change, topic: Topic): boolean {
  return isOfTopic(object, topic) || (type !== 'ADDED' && (previous === undefined || isOfTopic(previous, topic)));
}

function expired(kind: string, since: number, found: string): ApiError {
  return new ApiError('Expired', `Cannot watch ${kind} from version ${since} as the log does not reach it, list again: ${found}`);
}
