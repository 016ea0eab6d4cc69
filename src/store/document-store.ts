/**
 * Document store: the `Store` that memory and SQLite have in common. Judging a commit, publishing and watching are here; a backend only
 * adds a journal, which makes changes durable. (PostgreSQL, whose database others write too, has its own: postgres/postgres-store.ts.)
 *
 * Owns     the queue of commits that wait for the next flush, the documents and the change log.
 * Never    shows a change to a reader or a watcher before the journal has it.
 * Callers  memory-store.ts and sqlite/sqlite-store.ts make one.
 *
 * GROUP COMMIT. Commits that arrive before `defer` runs the flush are judged one after the other against the documents and the commits
 * before them, and what they change goes to the journal in one transaction with one fsync. A commit that is refused has changed nothing
 * by then, so its neighbours do not notice: this is why the transaction needs no SAVEPOINT for each. That judging in memory is sound rests
 * on the file being ours alone (sqlite/open-database.ts).
 *
 * The journal writes on the main thread, which an fsync blocks. A worker thread would not block it but costs a hop for each commit and
 * makes the order of a simulation depend on threads. Reverse when fsync takes more than some 10 ms on the disks people use.
 */
import { ApiError } from '../api/errors.ts';
import type { Logger } from '../base/log.ts';
import type { ChangeLog } from './change-log.ts';
import type { Documents } from './documents.ts';
import type { Change, Listing, Page, Snapshot, Store, StoredObject, WatchItem, Write } from './store.ts';
import type { Topic } from './topic.ts';
import { answerOf, GROUP_LIMIT, ownCopyOf, type Waiting } from './waiting.ts';
import { WriteBatch } from './write-batch.ts';

export interface Journal {
  /** Makes all of these changes durable, or none. @throws {ApiError} Unavailable when the backend cannot write now */
  write(changes: readonly Change[]): void;
  /** Bytes on disk. @throws {ApiError} Unavailable */
  size(): number;
  /** Reads a little. @throws {ApiError} Unavailable */
  ping(): void;
  /** Writes a little that leaves nothing behind: whether there is room again. @throws {ApiError} Unavailable */
  probe(): void;
  close(): void;
}

export interface DocumentStoreParts {
  readonly documents: Documents;
  readonly changeLog: ChangeLog;
  readonly journal: Journal;
  /** Runs `flush` once, now or soon; commits that arrive until then share it. */
  readonly defer: (flush: () => void) => void;
  readonly log: Logger | undefined;
}

export function createDocumentStore(parts: DocumentStoreParts): Store {
  return new DocumentStore(parts);
}

class DocumentStore implements Store {
  readonly #parts: DocumentStoreParts;
  readonly #queue: Waiting[] = [];
  /** commits that were refused since a write last went through */
  #refused = 0;
  #isClosed = false;

  constructor(parts: DocumentStoreParts) {
    this.#parts = parts;
  }

  async get<Item extends StoredObject>(kind: string, name: string): Promise<Item | undefined> {
    this.#requireOpen('read');
    return this.#parts.documents.get(kind, name) as Item | undefined;
  }

  async list<Item extends StoredObject>(kind: string, page?: Page): Promise<Listing<Item>> {
    this.#requireOpen('read');
    return this.#parts.documents.list(kind, page) as Listing<Item>;
  }

  commit(writes: readonly Write[]): Promise<readonly (StoredObject | undefined)[]> {
    return new Promise((resolve, reject) => {
      this.#requireOpen('write'); // what is thrown in here rejects
      const own = writes.map((write) => ownCopyOf(write, this.#parts.documents)); // now, not at the flush: the caller may go on with its draft
      this.#queue.push({ writes: own, resolve, reject });
      if (this.#queue.length === 1) {
        this.#parts.defer(() => this.#flush());
      }
    });
  }

  watch<Item extends StoredObject>(kind: string, since: number, signal: AbortSignal): AsyncIterable<WatchItem<Item>> {
    return this.#parts.changeLog.watch<Item>(kind, since, signal);
  }

  watchBatches<Item extends StoredObject>(
    kind: string,
    since: number,
    signal: AbortSignal,
    topic?: Topic,
  ): AsyncIterable<readonly WatchItem<Item>[]> {
    return this.#parts.changeLog.watchBatches<Item>(kind, since, signal, topic);
  }

  async refresh(): Promise<void> {
    this.#requireOpen('read'); // nobody else writes
  }

  async snapshot(): Promise<Snapshot> {
    this.#requireOpen('read');
    return this.#parts.documents.snapshot();
  }

  async size(): Promise<number> {
    this.#requireOpen('read');
    return this.#parts.journal.size();
  }

  async version(): Promise<number> {
    this.#requireOpen('read');
    return this.#parts.documents.version;
  }

  async ping(): Promise<void> {
    this.#requireOpen('read');
    if (this.#refused === 0) {
      this.#parts.journal.ping();
      return;
    }
    // reading may go on all the while; and who stops writing when it is refused must hear that it may again
    this.#parts.journal.probe();
    this.#noteRecovery();
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      while (this.#queue.length > 0) {
        this.#flush();
      }
      this.#isClosed = true;
      this.#parts.changeLog.close();
      this.#parts.journal.close();
    }
  }

  #flush(): void {
    const group = this.#queue.splice(0, GROUP_LIMIT);
    if (this.#queue.length > 0) {
      this.#parts.defer(() => this.#flush());
    }
    const batch = new WriteBatch(this.#parts.documents);
    const answers = group.map((waiting) => answerOf(batch, waiting));
    try {
      this.#write(batch.changes, group.length);
    } catch (error) {
      // Also those that were refused: what they were refused for may have been a neighbour's write that is now not there.
      for (const { reject } of group) {
        reject(error);
      }
      return;
    }
    this.#publish(batch.changes);
    for (const answer of answers) {
      answer();
    }
  }

  #write(changes: readonly Change[], commits: number): void {
    if (changes.length === 0) {
      return;
    }
    try {
      this.#parts.journal.write(changes);
    } catch (error) {
      if (this.#refused === 0) {
        this.#parts.log?.error(error instanceof ApiError ? { detail: error.message } : { err: error }, 'store cannot write');
      }
      this.#refused += commits;
      throw error;
    }
    this.#noteRecovery();
  }

  #noteRecovery(): void {
    if (this.#refused > 0) {
      this.#parts.log?.info({ refused: this.#refused }, 'store writes again');
      this.#refused = 0;
    }
  }

  #publish(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#parts.documents.apply(change);
    }
    this.#parts.changeLog.append(changes);
  }

  #requireOpen(action: 'read' | 'write'): void {
    if (this.#isClosed) {
      throw new ApiError('Unavailable', `Cannot ${action} as the store is closed`);
    }
  }
}
