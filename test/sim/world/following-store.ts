/**
 * Following store: a server's own view of the database that it shares with others: reads and watches come from its copy, which lags behind,
 * as with src/store/postgres/postgres-store.ts.
 *
 * Owns     the copy. It ends with the process.
 */
import { ApiError } from '../../../src/api/errors.ts';
import { Wakeup } from '../../../src/base/wakeup.ts';
import { ChangeLog, DEFAULT_LOG_SIZE } from '../../../src/store/change-log.ts';
import { Documents } from '../../../src/store/documents.ts';
import type { Listing, Page, Snapshot, Store, StoredObject, WatchItem, Write } from '../../../src/store/store.ts';
import type { Topic } from '../../../src/store/topic.ts';
import type { Life } from './life.ts';
import type { SimClock } from './sim-clock.ts';
import type { DatabaseLine, SimDatabase } from './sim-database.ts';

const POLL_MS = 1000;
const LONGEST_SILENCE_MS = 10_000;
const LOST_NEWS = 0.05;

interface FollowingStoreOptions {
  readonly database: SimDatabase;
  readonly line: DatabaseLine;
  readonly clock: SimClock;
  readonly life: Life;
  /** a disk that does not answer */
  readonly stall: () => Promise<unknown> | undefined;
}

/** Reads everything, and follows from then on. */
export async function openFollowingStore(options: FollowingStoreOptions): Promise<Store> {
  const store = new FollowingStore(options);
  await store.start();
  return store;
}

class FollowingStore implements Store {
  readonly #options: FollowingStoreOptions;
  readonly #documents = new Documents();
  readonly #changeLog: ChangeLog;
  readonly #wakeup = new Wakeup();
  /** commits of one server are written one after another */
  #last: Promise<unknown> = Promise.resolve();
  #taken = 0;
  #inTouch = new AbortController();

  constructor(options: FollowingStoreOptions) {
    this.#options = options;
    this.#changeLog = new ChangeLog({ clock: options.clock, logSize: DEFAULT_LOG_SIZE });
  }

  async start(): Promise<void> {
    const { database, line, life } = this.#options;
    for (;;) {
      try {
        await this.refresh();
        break;
      } catch (error) {
        if (life.isOver || !(error instanceof ApiError)) {
          throw error;
        } // it waits for as long as the database is away
      }
    }
    const forget = database.onNews(() => (line.random.chance(LOST_NEWS) ? undefined : this.#wakeup.notify()));
    life.onEnd(() => {
      forget();
      this.#changeLog.close();
    });
    void this.#follow().catch(() => undefined); // ends with the process
  }

  async get<Item extends StoredObject>(kind: string, name: string): Promise<Item | undefined> {
    return await Promise.resolve(this.#documents.get(kind, name) as Item | undefined);
  }

  async list<Item extends StoredObject>(kind: string, page?: Page): Promise<Listing<Item>> {
    return await Promise.resolve(this.#documents.list(kind, page) as Listing<Item>);
  }

  async commit(writes: readonly Write[]): Promise<readonly (StoredObject | undefined)[]> {
    const turn = this.#last.then(async () => await this.#commit(writes));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #commit(writes: readonly Write[]): Promise<readonly (StoredObject | undefined)[]> {
    const { database, line, life, stall } = this.#options;
    await database.travel(line, life.signal);
    await stall();
    let upTo = database.log.length;
    try {
      const results = await database.commit(writes, line.server);
      upTo = database.log.length;
      await database.travel(line, life.signal); // what is lost here was done all the same
      return results;
    } finally {
      this.#take(upTo);
    }
  }

  async *watch<Item extends StoredObject>(kind: string, since: number, signal: AbortSignal): AsyncGenerator<WatchItem<Item>, void, void> {
    await this.#reach(since);
    yield* this.#changeLog.watch<Item>(kind, since, AbortSignal.any([signal, this.#inTouch.signal]));
  }

  async *watchBatches<Item extends StoredObject>(
    kind: string,
    since: number,
    signal: AbortSignal,
    topic?: Topic,
  ): AsyncGenerator<readonly WatchItem<Item>[], void, void> {
    await this.#reach(since);
    yield* this.#changeLog.watchBatches<Item>(kind, since, AbortSignal.any([signal, this.#inTouch.signal]), topic);
  }

  async refresh(): Promise<void> {
    const { database, line, life } = this.#options;
    await database.travel(line, life.signal);
    const upTo = database.log.length;
    await database.travel(line, life.signal);
    this.#take(upTo);
  }

  async snapshot(): Promise<Snapshot> {
    await this.refresh();
    return this.#documents.snapshot();
  }

  async size(): Promise<number> {
    return await Promise.resolve(0);
  }

  async version(): Promise<number> {
    return await Promise.resolve(this.#documents.version);
  }

  async ping(): Promise<void> {
    await this.refresh();
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  async #reach(version: number): Promise<void> {
    if (version > this.#documents.version) {
      await this.refresh();
    }
  }

  #take(upTo: number): void {
    const changes = this.#options.database.log.slice(this.#taken, upTo);
    this.#taken = Math.max(this.#taken, upTo);
    changes.forEach((change) => this.#documents.apply(change));
    this.#changeLog.append(changes);
  }

  async #follow(): Promise<void> {
    const { clock, life } = this.#options;
    let inTouchAtMs = clock.monotonicMs();
    for (;;) {
      await this.#wakeup.wait(clock, POLL_MS, life.signal);
      try {
        await this.refresh();
        inTouchAtMs = clock.monotonicMs();
      } catch (error) {
        if (life.isOver || !(error instanceof ApiError)) {
          throw error;
        }
        if (clock.monotonicMs() - inTouchAtMs > LONGEST_SILENCE_MS) {
          this.#inTouch.abort();
          this.#inTouch = new AbortController();
        }
      }
    }
  }
}
