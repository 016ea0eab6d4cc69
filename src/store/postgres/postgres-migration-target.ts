/** What migrations need of PostgreSQL. The caller holds the advisory lock, so that two servers that start at once take turns. */
import { ApiError } from '../../api/errors.ts';
import type { AppliedMigration, MigrationTarget } from '../migrate.ts';
import { SCHEMA } from './migrations.ts';
import type { Session } from './session.ts';

const CREATE_TABLE = `
-- migrations holds one row for each migration that made this schema.
CREATE TABLE ${SCHEMA}.migrations
(
    -- id numbers them 1, 2, 3, ...
    id         integer PRIMARY KEY,
    -- name says in a few words what it did.
    name       text    NOT NULL,
    -- checksum is the SHA-256 of its SQL, hexadecimal: a release that has another text under this id is refused.
    checksum   text    NOT NULL,
    -- applied_at is RFC 3339 in UTC, for people.
    applied_at text    NOT NULL
)`;

const FIND_TABLES = `
SELECT (SELECT count(*)::int FROM pg_namespace WHERE nspname = '${SCHEMA}'),
       count(*)::int,
       count(*) FILTER (WHERE c.relname = 'migrations')::int,
       array_to_string(array_agg(c.relname::text ORDER BY c.relname), ', ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'v', 'm', 'p', 'f')`;

export function createPostgresMigrationTarget({ session, label }: { readonly session: Session; readonly label: string }): MigrationTarget {
  return {
    label,
    prepare: async () => {
      const [row] = await session.query(FIND_TABLES);
      const [schemas, tables, own, names] = row ?? [];
      if (own === 1) {
        return;
      }
      if (Number(tables) > 0) {
        throw new ApiError(
          'Invalid',
          `Cannot open database ${label} as its schema "${SCHEMA}" belongs to another program, point DATABASE_URL at another database: it has ${String(names)}`,
        );
      }
      await inTransaction(session, async () => {
        if (schemas === 0) {
          await session.query(`CREATE SCHEMA ${SCHEMA}`);
        }
        await session.query(CREATE_TABLE);
      });
    },
    listApplied: async () => {
      const rows = await session.query(`SELECT id, checksum FROM ${SCHEMA}.migrations ORDER BY id`);
      return rows.map(([id, checksum]): AppliedMigration => ({ id: Number(id), checksum: String(checksum) }));
    },
    apply: async ({ id, name, sql }, { checksum, appliedAt }) =>
      await inTransaction(session, async () => {
        const inserted = await session.query(
          `INSERT INTO ${SCHEMA}.migrations (id, name, checksum, applied_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id`,
          [id, name, checksum, appliedAt],
        );
        if (inserted.length === 0) {
          return false;
        }
        await session.script(sql);
        return true;
      }),
  };
}

async function inTransaction<Result>(session: Session, work: () => Promise<Result>): Promise<Result> {
  await session.query('BEGIN');
  try {
    const result = await work();
    await session.query('COMMIT');
    return result;
  } catch (error) {
    if (session.isOpen) {
      await session.query('ROLLBACK');
    }
    throw error;
  }
}
