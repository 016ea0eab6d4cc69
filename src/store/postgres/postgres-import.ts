/**
 * Puts a whole state in the place of the one in a PostgreSQL database: the old schema is renamed and stays, a new one is filled in one
 * transaction.
 *
 * Callers  replace-store.ts
 */
import { randomUUID } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Replacement, ReplaceStore } from '../replace-store.ts';
import type { StoredObject } from '../store.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { SCHEMA } from './migrations.ts';
import { preparePostgres } from './open-postgres.ts';
import { explainPostgres } from './postgres-errors.ts';
import { requireNoServer } from './require-no-server.ts';
import { openSession, type Session } from './session.ts';

/** Objects in one statement. */
const BATCH = 1_000;

const FIND_SCHEMA = `SELECT count(*)::int FROM pg_namespace WHERE nspname = '${SCHEMA}'`;
const INSERT = `
INSERT INTO ${SCHEMA}.objects (kind, name, uid, version, document)
SELECT kind, name, uid, version, document::json FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS o (kind, name, uid, version, document)`;

/** @throws {ApiError} Unavailable while a server is connected; whatever `write` throws: then all is as it was */
export async function replacePostgres(
  { url, clock, log }: { readonly url: string; readonly clock: Clock; readonly log: Logger },
  { write, aside }: ReplaceStore,
): Promise<Replacement> {
  const target = parseDatabaseUrl(url);
  const keptAs = `${SCHEMA}_${aside.replaceAll(/[^a-z0-9]+/gu, '_')}`;
  const session = await openSession(target, { name: 'restore', statementTimeoutMs: 0 });
  try {
    await requireNoServer(session, `restore into database ${target.label}`);
    const [[schemas] = []] = await session.query(FIND_SCHEMA);
    const isThere = Number(schemas) > 0;
    if (isThere) {
      await session.query(`ALTER SCHEMA ${SCHEMA} RENAME TO ${keptAs}`);
    }
    try {
      await preparePostgres({ target, clock, log, signal: new AbortController().signal });
      await fill(session, write);
    } catch (error) {
      await session.script('ROLLBACK');
      await session.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
      if (isThere) {
        await session.query(`ALTER SCHEMA ${keptAs} RENAME TO ${SCHEMA}`);
      }
      throw error;
    }
    return { keptAs: isThere ? `schema ${keptAs} of ${target.label}` : undefined };
  } catch (error) {
    throw error instanceof ApiError ? error : explainPostgres(`restore into database ${target.label}`, error);
  } finally {
    await session.close();
  }
}

async function fill(session: Session, write: ReplaceStore['write']): Promise<void> {
  await session.script('BEGIN');
  let waiting: (readonly [StoredObject, string])[] = [];
  const flush = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    const column = (of: (object: StoredObject) => unknown): readonly unknown[] => batch.map(([object]) => of(object));
    await session.query(INSERT, [
      column(({ kind }) => kind),
      column(({ metadata }) => metadata.name),
      column(({ metadata }) => metadata.uid),
      column(({ metadata }) => Number(metadata.resourceVersion)),
      batch.map(([, json]) => json),
    ]);
  };
  const last = await write(async (object, json) => {
    waiting.push([object, json]);
    if (waiting.length >= BATCH) {
      await flush();
    }
  });
  await flush();
  await session.query(`UPDATE ${SCHEMA}.head SET version = $1::bigint, commit_id = $2::text`, [
    Number(last.metadata.resourceVersion),
    `restore-${randomUUID()}`,
  ]);
  await session.script('COMMIT');
}
