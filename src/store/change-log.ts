/**
 * Change log: the recent changes of each kind, and everyone who watches them.
 *
 * Owns     a log per kind (kind-log.ts: the last `logSize` changes at least, and the watchers); one timer for all bookmarks, while
 *          anyone watches.
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
import { KindLog } from './kind-log.ts';
import type { Change, StoredObject, WatchItem } from './store.ts';
import type { Topic } from './topic.ts';
import { WatchPlace } from './watch-place.ts';
import { Watcher } from './watchers.ts';

/** Changes kept per kind. Two seconds of the fastest writing we aim for (5,000 placements a second); some 17 MB at 1.7 KB each. */
export const DEFAULT_LOG_SIZE = 10_000;

/** ms; a watcher that saw nothing for one whole period gets a bookmark at its end: so after 15 to 30 s of quiet. */
const BOOKMARK_PERIOD_MS = 15_000;

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
    const place = new WatchPlace<Item>(log, watcher, { position: log.positionAfter(since), target });
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

function expired(kind: string, since: number, found: string): ApiError {
  return new ApiError('Expired', `Cannot watch ${kind} from version ${since} as the log does not reach it, list again: ${found}`);
}
