/**
 * SQLite journal: writes changes down and reads the state back at start.
 *
 * Owns     the rows of `objects`, `changes` and `superseded`, and how many changes are kept. A document is written once: a change has one
 *          of its own only when another has come after it, and while the log has it.
 * Never    judges: what it is given has been decided in memory, against exactly what is in the file.
 */
import { statSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { History } from '../change-log.ts';
import type { Journal } from '../document-store.ts';
import type { Documents, Shelf, StoredDocument } from '../documents.ts';
import { deepFreeze } from '../frozen.ts';
import type { Change, StoredObject } from '../store.ts';
import { damagedDatabase, explainSqlite } from './sqlite-errors.ts';
import { inTransaction } from './transaction.ts';

/** Changes are dropped this many at a time, within a commit's own transaction: some 1 ms once in a thousand changes, and no fsync more. */
const COMPACTION_BATCH = 1_000;

/** Pages; free ones beyond these are given back to the file system, so many at a time, where changes are dropped: some 5 ms. */
const FREE_PAGES_KEPT = 1_000;
const PAGES_GIVEN_BACK = 500;

/** No change has it: they begin at 1. */
const PROBE_VERSION = -1;
/** Larger than what may be left in half-empty pages: some pages must be had, as for a document. */
const PROBE_DOCUMENT = JSON.stringify(' '.repeat(32_768));

const UPSERT = `
INSERT INTO objects (kind, name, uid, version, document) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET uid = excluded.uid, version = excluded.version, document = excluded.document`;

/** Keeps the state that is about to be replaced, for the change that wrote it, while the log still has that change. */
const SUPERSEDE = 'INSERT INTO superseded (version, document) SELECT version, document FROM objects WHERE kind = ? AND name = ?';

/** @param options.logSize changes to keep, at least 1 */
export function createSqliteJournal(options: {
  readonly database: DatabaseSync;
  readonly path: string;
  readonly logSize: number;
}): Journal {
  const { database, path, logSize } = options;
  const upsert = database.prepare(UPSERT);
  const remove = database.prepare('DELETE FROM objects WHERE kind = ? AND name = ?');
  const record = database.prepare('INSERT INTO changes (version, kind, name, type) VALUES (?, ?, ?, ?)');
  const supersede = database.prepare(SUPERSEDE);
  const keep = database.prepare('INSERT INTO superseded (version, document) VALUES (?, ?)');
  const compactChanges = database.prepare('DELETE FROM changes WHERE version <= ?');
  const compactDocuments = database.prepare('DELETE FROM superseded WHERE version <= ?');
  const newest = database.prepare('SELECT max(version) FROM changes');
  const forget = database.prepare('DELETE FROM superseded WHERE version = ?');
  const freePages = database.prepare('PRAGMA freelist_count');
  let floor = readFloor(database);

  const writeOne = ({ type, version, object, previous }: Change): void => {
    const { kind, metadata } = object;
    if (previous !== undefined && Number(previous.metadata.resourceVersion) > floor) {
      supersede.run(kind, metadata.name);
    }
    if (type === 'DELETED') {
      remove.run(kind, metadata.name);
      keep.run(version, JSON.stringify(object));
    } else {
      upsert.run(kind, metadata.name, metadata.uid, version, JSON.stringify(object));
    }
    record.run(version, kind, metadata.name, type);
  };

  /** Does nothing in a file made before there was auto_vacuum; a backup and its restore make another. */
  const giveBack = (): void => {
    const free = Number(Object.values(freePages.get() ?? {})[0]);
    if (free > FREE_PAGES_KEPT) {
      database.exec(`PRAGMA incremental_vacuum(${Math.min(PAGES_GIVEN_BACK, free - FREE_PAGES_KEPT)})`);
    }
  };

  const writeAll = (changes: readonly Change[]): number => {
    changes.forEach(writeOne);
    const wanted = (changes.at(-1)?.version ?? 0) - logSize;
    if (wanted - floor < COMPACTION_BATCH) {
      return floor;
    }
    compactChanges.run(wanted);
    compactDocuments.run(wanted);
    giveBack();
    return wanted;
  };

  return {
    write: (changes) => {
      try {
        floor = inTransaction(database, () => writeAll(changes));
      } catch (error) {
        throw explainSqlite(`write to database ${path}`, error, 'Unavailable');
      }
    },
    size: () => {
      try {
        const [row] = readRows(database, 'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
        return Number(row?.[0]) + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
      } catch (error) {
        throw explainSqlite(`read database ${path}`, error, 'Unavailable');
      }
    },
    ping: () => {
      try {
        newest.get();
      } catch (error) {
        throw explainSqlite(`read database ${path}`, error, 'Unavailable');
      }
    },
    probe: () => {
      try {
        inTransaction(database, () => {
          keep.run(PROBE_VERSION, PROBE_DOCUMENT);
          forget.run(PROBE_VERSION);
        });
      } catch (error) {
        throw explainSqlite(`write to database ${path}`, error, 'Unavailable');
      }
    },
    close: () => database.close(),
  };
}

/** What `kinds` need not be in memory for: reads by key, some 5 us each. */
export function createSqliteShelf(database: DatabaseSync, path: string, kinds: readonly string[]): Shelf {
  const one = asArrays(database.prepare('SELECT document FROM objects WHERE kind = ? AND name = ?'));
  const all = asArrays(database.prepare('SELECT document FROM objects WHERE kind = ?'));
  const readRowsOf = (statement: StatementSync, ...key: readonly string[]): readonly string[] => {
    try {
      return (statement.all(...key) as unknown as readonly (readonly [string])[]).map(([document]) => document);
    } catch (error) {
      throw explainSqlite(`read database ${path}`, error, 'Unavailable');
    }
  };
  return {
    kinds: new Set(kinds),
    read: (kind, name) => readRowsOf(one, kind, name)[0],
    readAll: (kind) => readRowsOf(all, kind),
  };
}

/** The document is null where it is the object's present one. */
const SELECT_CHANGES = `
SELECT changes.version, kind, name, type, document FROM changes LEFT JOIN superseded ON superseded.version = changes.version
ORDER BY changes.version`;

/** Fills `documents` with what the file has, but for the kinds on the shelf. @returns the changes that it still has */
export function loadDatabase(database: DatabaseSync, documents: Documents, path: string, shelved: readonly string[] = []): History {
  const changes = readRows(database, SELECT_CHANGES);
  const floor = readFloor(database);
  const version = Number(changes.at(-1)?.[0] ?? 0);
  documents.load(iterateDocuments(database, shelved), version);
  const latest = new Map<string, StoredObject>();
  return {
    version,
    floor,
    changes: changes.map((row): Change => {
      const [kind, name, type] = [String(row[1]), String(row[2]), row[3] as Change['type']];
      const key = `${kind}\0${name}`;
      const previous = latest.get(key);
      const object = typeof row[4] === 'string' ? deepFreeze(JSON.parse(row[4]) as StoredObject) : documents.get(kind, name);
      if (object === undefined || object.metadata.resourceVersion !== String(row[0])) {
        throw damagedDatabase(path, `the document of version ${String(row[0])} is missing`);
      }
      latest.set(key, object);
      return { type, version: Number(row[0]), object, ...(type !== 'ADDED' && previous !== undefined && { previous }) };
    }),
  };
}

function* iterateDocuments(database: DatabaseSync, shelved: readonly string[]): Generator<StoredDocument> {
  const asked = 'SELECT kind, name, version, document FROM objects WHERE kind NOT IN (SELECT value FROM json_each(?))';
  const statement = asArrays(database.prepare(asked));
  for (const row of statement.iterate(JSON.stringify(shelved)) as Iterable<unknown>) {
    const [kind, name, version, json] = row as [string, string, number, string];
    yield { kind, name, version, json };
  }
}

/** The version before the oldest change that is kept. */
function readFloor(database: DatabaseSync): number {
  const oldest = readRows(database, 'SELECT min(version) FROM changes')[0]?.[0];
  return typeof oldest === 'number' ? oldest - 1 : 0;
}

function readRows(database: DatabaseSync, sql: string): readonly (readonly unknown[])[] {
  return asArrays(database.prepare(sql)).all() as unknown as readonly (readonly unknown[])[];
}

/** Rows as arrays: a third of the time of rows as objects. */
function asArrays(statement: StatementSync): StatementSync {
  statement.setReturnArrays(true);
  return statement;
}
