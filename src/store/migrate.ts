/**
 * Migrations: numbered, applied in order, each once, each kept with its checksum. Knows no database: a `MigrationTarget` does the SQL.
 *
 * Source   graphile-worker src/migrate.ts: the row that says "applied" is inserted first, in the migration's own transaction, so that of
 *          two servers that start at once the second waits on that row and then learns that the work is done.
 */
import { createHash } from 'node:crypto';
import { ApiError } from '../api/errors.ts';
import { nowRfc3339, type Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

export interface Migration {
  /** 1, 2, 3, ... without a gap */
  readonly id: number;
  /** a few words for people */
  readonly name: string;
  /** never changed once released: its checksum is kept */
  readonly sql: string;
}

export interface AppliedMigration {
  readonly id: number;
  readonly checksum: string;
}

export interface MigrationTarget {
  /** how messages call the database */
  readonly label: string;
  /** Makes the table of applied migrations where there is none. */
  prepare(): Promise<void>;
  listApplied(): Promise<readonly AppliedMigration[]>;
  /** In one transaction: inserts the row, then runs the SQL. @returns false, nothing done, when the row was there already */
  apply(migration: Migration, row: { readonly checksum: string; readonly appliedAt: string }): Promise<boolean>;
}

export interface MigrateOptions {
  readonly target: MigrationTarget;
  readonly migrations: readonly Migration[];
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Brings the database up to the newest migration.
 * @throws {ApiError} Invalid when it was written by a newer version, or its history is not ours; Unavailable when a migration fails
 */
export async function migrate({ target, migrations, clock, log }: MigrateOptions): Promise<void> {
  await target.prepare();
  const checksumById = new Map((await target.listApplied()).map(({ id, checksum }) => [id, checksum]));
  for (const id of checksumById.keys()) {
    if (!migrations.some((migration) => migration.id === id)) {
      throw newerVersion(target.label, id, migrations.length);
    }
  }
  for (const migration of migrations) {
    const checksum = checksumOf(migration);
    const found = checksumById.get(migration.id);
    if (found === undefined) {
      if (await applyOne(target, migration, { checksum, appliedAt: nowRfc3339(clock) })) {
        log.info({ migration: migration.id, name: migration.name }, 'database migrated');
      }
    } else if (found !== checksum) {
      throw new ApiError(
        'Invalid',
        `Cannot open database ${target.label} as migration ${migration.id} "${migration.name}" is not the one it was made with, ` +
          `use the cara-server that wrote it or restore a backup: checksum is ${checksum.slice(0, 12)}, current value is ${found.slice(0, 12)}`,
      );
    }
  }
}

async function applyOne(target: MigrationTarget, migration: Migration, row: Parameters<MigrationTarget['apply']>[1]): Promise<boolean> {
  try {
    return await target.apply(migration, row);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ApiError(
      'Unavailable',
      `Cannot migrate database ${target.label} as migration ${migration.id} "${migration.name}" failed, nothing was changed: ${cause}`,
      { cause: error },
    );
  }
}

/** The refusal of a database that a later release has migrated further. */
export function newerVersion(label: string, found: number, known: number): ApiError {
  return new ApiError(
    'Invalid',
    `Cannot open database ${label} as it was written by a newer version: its schema is ${found}, this build knows up to ${known}; ` +
      'upgrade cara-server or restore a backup',
  );
}

export function checksumOf(migration: Migration): string {
  return createHash('sha256').update(migration.sql).digest('hex');
}
