/**
 * PostgreSQL store: every guarantee of `Store`, for several servers on one database.
 *
 * Owns     this server's copy of all documents and recent changes, in memory; the commits that wait for the next write. Reads and watches
 *          are served from memory, as on SQLite; the table `changes` is how it follows what others write.
 * Never    shows a change that is not durable, or out of order. Never answers that a commit is done before memory shows it. Never takes
 *          memory for current where that decides something: a write holds only at the version on which it was judged.
 * Callers  open-store.ts
 *
 * WRITING. Commits that arrive while one group is being written form the next. A group is judged in memory at version V and written by one
 * statement that does nothing unless the database is at V (statements.ts, WRITE). When another server was faster, memory catches up and
 * the group is judged anew, this time with the lock on `head` held, so that it cannot lose again.
 *
 * A CONNECTION LOST AMID A COMMIT leaves open whether it was done. Its id is in `changes` then; we look, with that lock, before we answer
 * or try again. What cannot be found out in time is refused as Unavailable, and may be there.
 *
 * FOLLOWING. NOTIFY says that there is something; a look every second is what it rests on. `refresh` is one look, shared by all that ask
 * for it meanwhile; HTTP requests begin with one, so that what was answered by one server is seen through each (ADR 11).
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Stopper } from '../../base/stopper.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { ChangeLog, DEFAULT_LOG_SIZE } from '../change-log.ts';
import { Documents } from '../documents.ts';
import type { Listing, Page, Snapshot, Store, StoredObject, WatchItem, Write } from '../store.ts';
import type { Topic } from '../topic.ts';
import { GROUP_LIMIT, ownCopyOf, type Waiting } from '../waiting.ts';
import { parseDatabaseUrl, type DatabaseTarget } from './database-url.ts';
import { GroupWriter } from './group-writer.ts';
import { Link } from './link.ts';
import { openStoreSession, preparePostgres } from './open-postgres.ts';
import { Outage } from './outage.ts';
import { unavailable } from './postgres-errors.ts';
import { Replica } from './replica.ts';
import { COMPACT, PROBE, SIZE } from './statements.ts';

/** ms; how long a change of another server's may go unnoticed when a notification is lost. */
const POLL_MS = 1_000;

/** ms; watches end when the database has been away for longer, as they would miss what other servers write meanwhile. */
const LONGEST_SILENCE_MS = 10_000;

/** Changes are dropped this many at a time. */
const COMPACTION_BATCH = 1_000;

export interface PostgresStoreOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** changes kept for watchers that come back, in memory per kind and in the database over all; default 10,000 */
  readonly logSize?: number;
}

/**
 * Opens the store, waiting for as long as the database is away.
 * @throws {ConfigError} for a URL that is none
 * @throws {ApiError} Invalid for what only a person can mend, such as a wrong password or a foreign schema
 */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const target = parseDatabaseUrl(options.url);
  const log = options.log.child({ component: 'postgres-store' });
  const startedMs = options.clock.monotonicMs();
  await preparePostgres({ target, clock: options.clock, log, signal: new AbortController().signal });
  const store = new PostgresStore({ ...options, target, log });
  try {
    const version = await store.start();
    const durationMs = Math.round(options.clock.monotonicMs() - startedMs);
    log.info({ database: target.label, resourceVersion: version, durationMs }, 'database opened');
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface PostgresStoreDeps {
  readonly target: DatabaseTarget;
  readonly clock: Clock;
  readonly log: Logger;
  readonly logSize?: number;
}

class PostgresStore implements Store {
  readonly #clock: Clock;
  readonly #label: string;
  readonly #logSize: number;
  readonly #documents = new Documents();
  readonly #changeLog: ChangeLog;
  readonly #writer: Link;
  readonly #replica: Replica;
  readonly #groups: GroupWriter;
  readonly #wakeup = new Wakeup();
  readonly #stopper: Stopper;
  readonly #writes: Outage;
  readonly #reads: Outage;
  #queue: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #compactedTo = 0;
  /** aborts when the database has been away for long: then whoever watches had better ask another server */
  #inTouch = new AbortController();
  #closing: Promise<void> | undefined;

  constructor({ target, clock, log, logSize = DEFAULT_LOG_SIZE }: PostgresStoreDeps) {
    this.#clock = clock;
    this.#label = target.label;
    this.#logSize = logSize;
    this.#changeLog = new ChangeLog({ clock, logSize });
    this.#stopper = new Stopper((loop, error) => log.error({ loop, err: error }, 'loop of the store ended'));
    this.#writes = new Outage(log, { begins: 'store cannot write', ends: 'store writes again' });
    this.#reads = new Outage(log, { begins: 'database does not answer', ends: 'database answers again' });
    const instance = randomUUID();
    this.#writer = new Link({ clock, open: () => openStoreSession(target, 'writes') });
    this.#replica = new Replica({
      documents: this.#documents,
      changeLog: this.#changeLog,
      link: { clock, open: () => openStoreSession(target, 'reads') },
      label: target.label,
      instance,
      log,
      onNews: () => this.#wakeup.notify(),
    });
    this.#groups = new GroupWriter({
      documents: this.#documents,
      replica: this.#replica,
      link: this.#writer,
      label: target.label,
      instance,
      clock,
      signal: this.#stopper.signal,
    });
  }

  /** Reads everything and begins to follow. @returns the newest version */
  async start(): Promise<number> {
    await this.#replica.refresh();
    this.#compactedTo = this.#documents.version - this.#logSize;
    this.#stopper.spawn('follow', (signal) => this.#follow(signal));
    return this.#documents.version;
  }

  async get<Item extends StoredObject>(kind: string, name: string): Promise<Item | undefined> {
    this.#requireOpen('read');
    return this.#documents.get(kind, name) as Item | undefined;
  }

  async list<Item extends StoredObject>(kind: string, page?: Page): Promise<Listing<Item>> {
    this.#requireOpen('read');
    return this.#documents.list(kind, page) as Listing<Item>;
  }

  async commit(writes: readonly Write[]): Promise<readonly (StoredObject | undefined)[]> {
    this.#requireOpen('write');
    const own = writes.map((write) => ownCopyOf(write, this.#documents)); // now, not at the flush: the caller may go on with its draft
    return await new Promise((resolve, reject) => {
      this.#queue.push({ writes: own, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async *watch<Item extends StoredObject>(kind: string, since: number, signal: AbortSignal): AsyncGenerator<WatchItem<Item>, void, void> {
    await this.#reach(since, signal);
    yield* this.#changeLog.watch<Item>(kind, since, AbortSignal.any([signal, this.#inTouch.signal]));
  }

  async *watchBatches<Item extends StoredObject>(
    kind: string,
    since: number,
    signal: AbortSignal,
    topic?: Topic,
  ): AsyncGenerator<readonly WatchItem<Item>[], void, void> {
    await this.#reach(since, signal);
    yield* this.#changeLog.watchBatches<Item>(kind, since, AbortSignal.any([signal, this.#inTouch.signal]), topic);
  }

  async snapshot(): Promise<Snapshot> {
    await this.refresh();
    return this.#documents.snapshot();
  }

  async size(): Promise<number> {
    this.#requireOpen('read');
    try {
      const [[bytes] = []] = await (await this.#writer.get()).query(SIZE);
      return Number(bytes);
    } catch (error) {
      throw unavailable(`read database ${this.#label}`, error);
    }
  }

  async version(): Promise<number> {
    this.#requireOpen('read');
    return this.#documents.version;
  }

  async refresh(): Promise<void> {
    this.#requireOpen('read');
    try {
      await this.#replica.refresh();
    } catch (error) {
      const failure = unavailable(`read database ${this.#label}`, error);
      this.#reads.noteFailure(failure);
      throw failure;
    }
    this.#reads.noteSuccess();
  }

  async ping(): Promise<void> {
    await this.refresh();
    if (this.#writes.isOn) {
      await this.#probe(); // reading may go on all the while; and who stops writing when it is refused must hear that it may again
      this.#writes.noteSuccess();
    }
  }

  async close(): Promise<void> {
    await (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#flushing;
    await this.#stopper.stop();
    this.#changeLog.close();
    await Promise.all([this.#writer.close(), this.#replica.close()]);
  }

  async #probe(): Promise<void> {
    try {
      const session = await this.#writer.get();
      try {
        await session.script(PROBE);
      } catch (error) {
        session.destroy(); // its transaction is broken
        throw error;
      }
    } catch (error) {
      throw unavailable(`write to database ${this.#label}`, error);
    }
  }

  async #flush(): Promise<void> {
    await nextTurn(); // all that one turn of the event loop brings in shares a round trip
    while (this.#queue.length > 0) {
      const group = this.#queue.slice(0, GROUP_LIMIT);
      this.#queue = this.#queue.slice(GROUP_LIMIT);
      try {
        const answers = await this.#groups.write(group);
        this.#writes.noteSuccess();
        answers.forEach((answer) => answer());
      } catch (error) {
        const failure = unavailable(`write to database ${this.#label}`, error);
        this.#writes.noteFailure(failure, group.length);
        group.forEach(({ reject }) => reject(failure));
        continue;
      }
      await this.#compact();
    }
    this.#flushing = undefined; // in the same turn as the look at the queue
  }

  async #compact(): Promise<void> {
    const wanted = this.#documents.version - this.#logSize;
    if (wanted - this.#compactedTo < COMPACTION_BATCH) {
      return;
    }
    this.#compactedTo = wanted;
    try {
      await (await this.#writer.get()).query(COMPACT, [wanted]);
    } catch {
      this.#compactedTo = wanted - COMPACTION_BATCH; // with the next group; whatever is wrong, the next write tells it
    }
  }

  /** Who comes from another server may have seen more than we. */
  async #reach(version: number, signal: AbortSignal): Promise<void> {
    if (version > this.#documents.version && !signal.aborted && this.#closing === undefined) {
      await this.refresh();
    }
  }

  /** Takes in what others write. What goes wrong has been told by `refresh`. */
  async #follow(signal: AbortSignal): Promise<void> {
    let inTouchAtMs = this.#clock.monotonicMs();
    while (!signal.aborted) {
      await this.#wakeup.wait(this.#clock, POLL_MS, signal);
      try {
        await this.refresh();
        inTouchAtMs = this.#clock.monotonicMs();
      } catch (error) {
        if (!hasReason(error, 'Unavailable')) {
          throw error;
        }
        if (this.#clock.monotonicMs() - inTouchAtMs > LONGEST_SILENCE_MS) {
          this.#inTouch.abort();
          this.#inTouch = new AbortController();
        }
        await this.#clock.sleep(POLL_MS, signal);
      }
    }
  }

  #requireOpen(action: 'read' | 'write'): void {
    if (this.#closing !== undefined) {
      throw new ApiError('Unavailable', `Cannot ${action} as the store is closed`);
    }
  }
}
