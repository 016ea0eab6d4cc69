/**
 * Puts a whole state in the place of the one in a database file. The new file is made beside the old one and takes its name last; the old
 * one stays, under another name.
 *
 * Callers  replace-store.ts
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Replacement, ReplaceStore } from '../replace-store.ts';
import type { StoredObject } from '../store.ts';
import { FOREIGN_DATABASE, openDatabase } from './open-database.ts';
import { explainSqlite } from './sqlite-errors.ts';

/** Objects in one transaction. */
const BATCH = 5_000;

/** @throws {ApiError} Unavailable while a server has the file; whatever `write` throws: then nothing has changed */
export async function replaceSqlite(
  { path, clock, log }: { readonly path: string; readonly clock: Clock; readonly log: Logger },
  { write, aside }: ReplaceStore,
): Promise<Replacement> {
  const made = `${path}.restoring`;
  removeDatabase(made);
  const old = await lockOld({ path, clock, log });
  try {
    await fill({ path: made, clock, log }, write);
    const keptAs = `${path}.${aside}`;
    const isThere = existsSync(path);
    if (isThere) {
      moveDatabase(path, keptAs);
    }
    moveDatabase(made, path);
    return { keptAs: isThere ? keptAs : undefined };
  } finally {
    old?.close();
    removeDatabase(made);
  }
}

/** Holds the old database, all of it in one file, so that no server starts on it meanwhile; undefined: there is none, or none that can be opened. */
async function lockOld(options: { readonly path: string; readonly clock: Clock; readonly log: Logger }): Promise<DatabaseSync | undefined> {
  if (!existsSync(options.path)) {
    return undefined;
  }
  try {
    const database = await openDatabase(options);
    database.exec('PRAGMA journal_mode = DELETE');
    return database;
  } catch (error) {
    if (hasReason(error, 'Invalid') && error.cause !== FOREIGN_DATABASE) {
      return undefined; // damaged, or of a newer version: that is what a restore is for
    }
    throw hasReason(error, 'Unavailable')
      ? new ApiError(
          'Unavailable',
          `Cannot restore as the database must not be in use, stop the cara-server that runs on it: ${error.message}`,
          { cause: error },
        )
      : error;
  }
}

async function fill(
  options: { readonly path: string; readonly clock: Clock; readonly log: Logger },
  write: ReplaceStore['write'],
): Promise<void> {
  const database = await openDatabase(options);
  try {
    const insert = database.prepare('INSERT INTO objects (kind, name, uid, version, document) VALUES (?, ?, ?, ?, ?)');
    let count = 0;
    const put = ({ kind, metadata }: StoredObject, json: string): void => {
      insert.run(kind, metadata.name, metadata.uid, Number(metadata.resourceVersion), json);
      count += 1;
      if (count % BATCH === 0) {
        database.exec('COMMIT; BEGIN IMMEDIATE');
      }
    };
    database.exec('BEGIN IMMEDIATE');
    const last = await write(put);
    // the log begins with it: who watches from before lists again
    database
      .prepare("INSERT INTO changes (version, kind, name, type) VALUES (?, ?, ?, 'MODIFIED')")
      .run(Number(last.metadata.resourceVersion), last.kind, last.metadata.name);
    database.exec('COMMIT');
    database.exec('PRAGMA journal_mode = DELETE'); // all of it in the one file
  } catch (error) {
    throw explainSqlite(`write to database ${options.path}`, error, 'Unavailable');
  } finally {
    database.close();
  }
}

const PARTS = ['', '-wal', '-shm'];

function moveDatabase(from: string, to: string): void {
  for (const part of PARTS.filter((each) => existsSync(`${from}${each}`))) {
    renameSync(`${from}${part}`, `${to}${part}`);
  }
}

function removeDatabase(path: string): void {
  PARTS.forEach((part) => rmSync(`${path}${part}`, { force: true }));
}
