/** SQLite store: every guarantee of `Store`, in one file of this machine. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { ChangeLog, DEFAULT_LOG_SIZE } from '../change-log.ts';
import { createDocumentStore } from '../document-store.ts';
import { Documents } from '../documents.ts';
import type { Store } from '../store.ts';
import { openDatabase } from './open-database.ts';
import { createSqliteJournal, createSqliteShelf, loadDatabase } from './sqlite-journal.ts';

export interface SqliteStoreOptions {
  /** a file, made where there is none; or `:memory:` */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** changes kept for watchers that come back, in memory per kind and in the file over all; default 10,000 */
  readonly logSize?: number;
  /** kinds that are read so rarely that they need not be kept in memory */
  readonly rarelyRead?: readonly string[];
}

/** @throws {ApiError} Invalid when the file is none that this build can use; Unavailable when it cannot be used now, as when another server has it */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, clock, logSize = DEFAULT_LOG_SIZE, rarelyRead = [] } = options;
  const log = options.log.child({ component: 'sqlite-store' });
  const startedMs = clock.monotonicMs();
  const database = await openDatabase({ path, clock, log });
  const documents = new Documents(createSqliteShelf(database, path, rarelyRead));
  const history = loadDatabase(database, documents, path, rarelyRead);
  log.info({ path, resourceVersion: history.version, durationMs: Math.round(clock.monotonicMs() - startedMs) }, 'database opened');
  return createDocumentStore({
    documents,
    changeLog: new ChangeLog({ clock, logSize, history }),
    journal: createSqliteJournal({ database, path, logSize }),
    // A file: all that one turn of the event loop brings in shares an fsync. In memory there is none to share, and virtual time wants
    // everything settled when the microtasks are.
    defer: path === ':memory:' ? queueMicrotask : setImmediate,
    log,
  });
}
