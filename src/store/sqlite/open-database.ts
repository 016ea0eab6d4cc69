/**
 * Opens the database file: makes it where there is none, makes sure that it is ours, whole, and nobody else's, and sets how it is written.
 *
 * The lock is SQLite's own (`locking_mode=EXCLUSIVE`, held from the first read until the connection closes or the process dies). Those
 * are POSIX locks, which a process loses as soon as it closes ANY descriptor of the file: nothing in this process may open the file
 * but through SQLite (https://www.sqlite.org/howtocorrupt.html, 2.2). A backup goes through this very connection (`backup()` of
 * node:sqlite), which the lock does not hinder.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { migrate, newerVersion } from '../migrate.ts';
import { MIGRATIONS } from './migrations.ts';
import { damagedDatabase, explainSqlite } from './sqlite-errors.ts';
import { createSqliteMigrationTarget } from './sqlite-migration-target.ts';

/** `PRAGMA application_id` of our databases: "CARA". */
const APPLICATION_ID = 0x43415241;

/** ms; how long to wait for a predecessor that is just closing the file. */
const BUSY_TIMEOUT_MS = 500;

/** Two or three documents fit, where of the default 4096 one fills most of a page: 100,000 updates of 2.3 KB take 0.85 s, else 1.5 s. */
const PAGE_BYTES = 8192;

/** The cause of the refusal of another program's database: not even to be moved away. */
export const FOREIGN_DATABASE = 'foreign database';

export interface OpenDatabaseOptions {
  /** a file, or `:memory:` */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** @throws {ApiError} Invalid when the file is none that this build can use; Unavailable when it cannot be used now */
export async function openDatabase({ path, clock, log }: OpenDatabaseOptions): Promise<DatabaseSync> {
  const isFile = path !== ':memory:';
  let database: DatabaseSync | undefined;
  try {
    if (isFile) {
      createFileIfMissing(path);
    }
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableDoubleQuotedStringLiterals: false });
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`); // of a new file; one that has pages keeps theirs
    database.exec('PRAGMA auto_vacuum = INCREMENTAL'); // likewise; sqlite-journal.ts gives back what is free
    requireOurs(database, path);
    if (isFile && (statSync(path).mode & 0o077) !== 0) {
      chmodSync(path, 0o600); // it holds secrets; SQLite gives its -wal the same mode
    }
    configure(database);
    requireWhole(database, path);
    const target = createSqliteMigrationTarget({ database, label: path, applicationId: APPLICATION_ID });
    await migrate({ target, migrations: MIGRATIONS, clock, log });
    return database;
  } catch (error) {
    database?.close();
    throw explainFile(path, explainSqlite(`open database ${path}`, error, 'Invalid'));
  }
}

/** Makes the file, readable for its owner only, where there is none. */
function createFileIfMissing(path: string): void {
  const folder = dirname(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) {
    throw new ApiError('Invalid', `Cannot open database ${path} as it is a folder: name a file in it, such as ${path}/cara.db`);
  }
  if (found !== undefined) {
    return;
  }
  createFolder(folder);
  try {
    closeSync(openSync(path, 'wx', 0o600)); // fails on a file that is there, so that this never closes one in use
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
      throw error;
    } // else another server was first, just now: the lock decides
  }
  syncFolder(folder);
}

/** As `mkdir -p`. Not mkdirSync's `recursive`: it never returns where mkdir(2) says ENOENT under a folder that exists (/proc; Node 26.10). */
function createFolder(path: string): void {
  if (!existsSync(path)) {
    createFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Explains a failure of the file system's; anything else comes back as it is. */
function explainFile(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'syscall' in error)) {
    return error;
  }
  const help = 'check that its folder exists and that it belongs to this user';
  return new ApiError('Unavailable', `Cannot open database ${path} as the file cannot be used, ${help}: ${error.message}`, {
    cause: error,
  });
}

/** Makes the new file's name durable; without this a power cut could take the file and all that was acknowledged with it. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Refuses before anything is written: a foreign database stays byte for byte as it was. */
function requireOurs(database: DatabaseSync, path: string): void {
  const applicationId = readNumber(database, 'PRAGMA application_id');
  const tables = readNumber(database, 'SELECT count(*) FROM sqlite_schema');
  if (applicationId !== APPLICATION_ID && (applicationId !== 0 || tables > 0)) {
    throw new ApiError(
      'Invalid',
      `Cannot open database ${path} as it belongs to another program, point DATABASE_URL at another file: ` +
        `application_id is ${applicationId}, it has ${tables} tables and indexes`,
      { cause: FOREIGN_DATABASE },
    );
  }
  const version = readNumber(database, 'PRAGMA user_version');
  if (applicationId === APPLICATION_ID && version > MIGRATIONS.length) {
    throw newerVersion(path, version, MIGRATIONS.length);
  }
}

function configure(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL'); // in WAL mode NORMAL may lose the last commits in a power cut
  database.exec('PRAGMA foreign_keys = ON');
  database.exec('PRAGMA cache_size = -8000'); // KiB; only writes use it, reads are served from memory
  // pages, 16 MiB: with the default of 1000 a flood of writes (a fleet that falls silent) checkpoints in every other commit
  database.exec('PRAGMA wal_autocheckpoint = 2000');
  database.exec('PRAGMA journal_size_limit = 67108864'); // bytes; gives a WAL back that one great burst has grown
}

/** Reads every page once: 0.4 s for 200,000 objects of 1.3 KB. */
function requireWhole(database: DatabaseSync, path: string): void {
  const problem = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
  if (problem !== 'ok') {
    const found = String(problem)
      .replaceAll(/^\*\*\*.*\*\*\*\n/gmu, '')
      .replaceAll('\n', ', ');
    throw damagedDatabase(path, found);
  }
}

function readNumber(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}
