/** What migrations need of SQLite. */
import type { DatabaseSync } from 'node:sqlite';
import type { AppliedMigration, MigrationTarget } from '../migrate.ts';
import { inTransaction } from './transaction.ts';

const CREATE_TABLE = `
-- migrations holds one row for each migration that made this schema.
CREATE TABLE IF NOT EXISTS migrations
(
    -- id numbers them 1, 2, 3, ...; the greatest is also PRAGMA user_version.
    id         INTEGER NOT NULL PRIMARY KEY,
    -- name says in a few words what it did.
    name       TEXT    NOT NULL,
    -- checksum is the SHA-256 of its SQL, hexadecimal: a release that has another text under this id is refused.
    checksum   TEXT    NOT NULL,
    -- applied_at is RFC 3339 in UTC, for people.
    applied_at TEXT    NOT NULL
) STRICT`;

/** @param options.applicationId set in the transaction that makes the first table, so that a file is ours or empty, never in between */
export function createSqliteMigrationTarget(options: {
  readonly database: DatabaseSync;
  readonly label: string;
  readonly applicationId: number;
}): MigrationTarget {
  const { database, label, applicationId } = options;
  return {
    label,
    prepare: async () =>
      inTransaction(database, () => {
        database.exec(`PRAGMA application_id = ${applicationId}`);
        database.exec(CREATE_TABLE);
      }),
    listApplied: async () => {
      const rows = database.prepare('SELECT id, checksum FROM migrations ORDER BY id').all();
      return rows.map((row): AppliedMigration => ({ id: Number(row['id']), checksum: String(row['checksum']) }));
    },
    apply: async ({ id, name, sql }, { checksum, appliedAt }) =>
      inTransaction(database, () => {
        const insert = database.prepare(
          'INSERT INTO migrations (id, name, checksum, applied_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
        );
        if (insert.run(id, name, checksum, appliedAt).changes === 0) {
          return false;
        }
        database.exec(sql);
        database.exec(`PRAGMA user_version = ${id}`);
        return true;
      }),
  };
}
