/** Opens the database: waits until it answers, makes or migrates the schema, and refuses what is not ours. Callers: postgres-store.ts. */
import { hasReason } from '../../api/errors.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { migrate } from '../migrate.ts';
import type { DatabaseTarget } from './database-url.ts';
import { MIGRATIONS } from './migrations.ts';
import { explainPostgres } from './postgres-errors.ts';
import { createPostgresMigrationTarget } from './postgres-migration-target.ts';
import { openSession, type Session } from './session.ts';
import { MIGRATION_LOCK } from './statements.ts';

export interface OpenPostgresOptions {
  readonly target: DatabaseTarget;
  readonly clock: Clock;
  readonly log: Logger;
  /** ends the waiting for a database that does not answer */
  readonly signal: AbortSignal;
}

const RETRY = { baseMs: 500, capMs: 5_000 };

/**
 * Waits for the database for as long as it is away, telling so once; then brings its schema up to date.
 * @throws {ApiError} Invalid for what waiting does not mend: credentials, a database that does not exist, a foreign or newer schema
 */
export async function preparePostgres(options: OpenPostgresOptions): Promise<void> {
  const { target, clock, log, signal } = options;
  const backoff = new Backoff(RETRY, systemRandom);
  for (;;) {
    try {
      await migrateOnce(options);
      if (backoff.failures > 0) {
        log.info({ database: target.label, failures: backoff.failures }, 'database answers');
      }
      return;
    } catch (error) {
      if (!hasReason(error, 'Unavailable')) {
        throw error;
      }
      if (backoff.failures === 0) {
        log.warn({ database: target.label, detail: error.message }, 'waiting for the database');
      }
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}

async function migrateOnce({ target, clock, log }: OpenPostgresOptions): Promise<void> {
  const session = await openSession(target, { name: 'cara-server migration', statementTimeoutMs: 0 });
  try {
    await session.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`); // goes with the session
    await migrate({ target: createPostgresMigrationTarget({ session, label: target.label }), migrations: MIGRATIONS, clock, log });
  } catch (error) {
    throw explainPostgres(`open database ${target.label}`, error);
  } finally {
    await session.close();
  }
}

/**
 * How statements are run. Each finds what it wants by a key; a planner that knows nothing yet of a table that is filled and emptied all the
 * time would read the whole of it. Without JIT, which takes 100 ms for what runs in one, whenever a plan looks dear. Acknowledged means
 * stored, whatever the database's default is; with a synchronous standby its word is waited for.
 */
const CONFIGURE = `
SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off;
SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`;

/** A session for the store's own statements. @throws {ApiError} */
export async function openStoreSession(target: DatabaseTarget, role: 'reads' | 'writes'): Promise<Session> {
  const session = await openSession(target, { name: `cara-server ${role}` });
  try {
    await session.script(CONFIGURE);
    return session;
  } catch (error) {
    session.destroy();
    throw explainPostgres(`use database ${target.label}`, error);
  }
}
