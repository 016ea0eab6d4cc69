/** Every statement that the store makes, but those of migrations. */
import { SCHEMA } from './migrations.ts';

/** Told to all servers with each commit: look at `changes`. */
export const CHANNEL = SCHEMA;

/** Key of the advisory lock under which the schema is made and changed: "CARA". */
export const MIGRATION_LOCK = 0x43415241;

/**
 * All changes of a group of commits, if `head` still is at the version on which they were judged; else nothing. One statement is one
 * transaction: one round trip, and one fsync of the database's.
 *
 * `head` comes first and everything else hangs on it: a writer that was faster holds its row, we wait, PostgreSQL looks at the row again
 * and finds another version. So what was judged in memory at exactly that version is as if it had been judged under a lock.
 *
 * $1 version before, $2 version after, $3 commit id; then arrays with an entry for each change: $4 versions, $5 kinds, $6 names, $7 types,
 * $8 uids, $9 documents, $10 whether it is the object's last change of this group; $11 commit id before.
 * @returns one row when it was done, none when somebody else was first
 */
export const WRITE = `
WITH moved AS (
  UPDATE ${SCHEMA}.head SET version = $2::bigint, commit_id = $3::text
  WHERE version = $1::bigint AND commit_id = $11::text RETURNING version
), change AS (
  SELECT c.* FROM moved, unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[])
    AS c (version, kind, name, type, uid, document, is_last)
), recorded AS (
  INSERT INTO ${SCHEMA}.changes (version, kind, name, type, document, commit_id)
  SELECT version, kind, name, type, document::json, $3::text FROM change
), stored AS (
  INSERT INTO ${SCHEMA}.objects (kind, name, uid, version, document)
  SELECT kind, name, uid, version, document::json FROM change WHERE is_last AND type <> 'DELETED'
  ON CONFLICT (kind, name) DO UPDATE SET uid = excluded.uid, version = excluded.version, document = excluded.document
), removed AS (
  DELETE FROM ${SCHEMA}.objects o USING change c WHERE c.is_last AND c.type = 'DELETED' AND o.kind = c.kind AND o.name = c.name
)
SELECT pg_notify('${CHANNEL}', $3::text) FROM moved`;

/** Takes the word: nobody else's commit comes between this and the end of the transaction. */
export const BEGIN_ALONE = `BEGIN; SELECT version FROM ${SCHEMA}.head FOR UPDATE; `;

const CHANGE_COLUMNS = 'c.version, c.kind, c.name, c.type, c.document::text, c.commit_id';

/** The newest version and its commit, and the changes after `version`: at least one row, its change null where there is none. One snapshot. */
export function readSince(version: number): string {
  return `SELECT h.version, h.commit_id, ${CHANGE_COLUMNS} FROM ${SCHEMA}.head h LEFT JOIN ${SCHEMA}.changes c ON c.version > ${version} ORDER BY c.version`;
}

/** The newest version and its commit, and whose commit made the change of version $1, where it is still known. */
export const FIND_COMMIT = `SELECT h.version, h.commit_id, c.commit_id FROM ${SCHEMA}.head h LEFT JOIN ${SCHEMA}.changes c ON c.version = $1::bigint`;

/** Moves the versions on, past any that may have been given out by a database that is no more. $1: at least this; $2: commit id. */
export const SKIP_VERSIONS = `UPDATE ${SCHEMA}.head SET version = greatest(version, $1::bigint) + 1, commit_id = $2::text RETURNING version`;

export const COMPACT = `DELETE FROM ${SCHEMA}.changes WHERE version <= $1::bigint`;

/** A write that leaves nothing behind: whether there is room again. */
export const PROBE = `BEGIN; INSERT INTO ${SCHEMA}.changes (version, kind, name, type, document, commit_id)
SELECT -n, 'probe', 'probe', 'ADDED', to_json(repeat(md5(n::text), 500)), '' FROM generate_series(1, 4) AS n; ROLLBACK`;

/** One snapshot of all there is, read in pieces. */
export const BEGIN_LOAD = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT version, commit_id FROM ${SCHEMA}.head;
SET LOCAL enable_seqscan = on;
DECLARE stored CURSOR FOR SELECT kind, name, version, document::text FROM ${SCHEMA}.objects;
DECLARE logged CURSOR FOR SELECT 0, '', ${CHANGE_COLUMNS} FROM ${SCHEMA}.changes c ORDER BY c.version`;
export const FETCH_OBJECTS = 'FETCH 5000 FROM stored';
export const FETCH_CHANGES = 'FETCH 5000 FROM logged';

/** Bytes of all that is ours, with indexes. */
export const SIZE = `
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = '${SCHEMA}' AND c.relkind = 'r'`;
