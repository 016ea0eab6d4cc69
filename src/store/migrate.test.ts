import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { hasReason, type Reason } from '../api/errors.ts';
import { systemClock } from '../base/clock.ts';
import { checksumOf, migrate, type Migration, type MigrationTarget } from './migrate.ts';

const log = pino({ level: 'silent' });
const ONE: Migration = { id: 1, name: 'one', sql: 'create one' };
const TWO: Migration = { id: 2, name: 'two', sql: 'create two' };

/** A database that only remembers what was run. */
function createTarget(applied: readonly Migration[] = []): MigrationTarget & { readonly run: string[] } {
  const rows = new Map(applied.map((migration) => [migration.id, checksumOf(migration)]));
  const run: string[] = [];
  return {
    run,
    label: 'cara.db',
    prepare: async () => undefined,
    listApplied: async () => [...rows].map(([id, checksum]) => ({ id, checksum })),
    apply: async ({ id, sql }, { checksum }) => {
      if (sql === 'fail') {
        throw new Error('no such table: x');
      }
      rows.set(id, checksum);
      run.push(sql);
      return true;
    },
  };
}

const refusal =
  (reason: Reason, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(hasReason(error, reason), String(error));
    assert.match(error.message, pattern);
    return true;
  };

it('migrate() applies what is missing, in order, and nothing the second time', async () => {
  const target = createTarget([ONE]);
  await migrate({ target, migrations: [ONE, TWO], clock: systemClock, log });
  assert.deepEqual(target.run, ['create two']);
  await migrate({ target, migrations: [ONE, TWO], clock: systemClock, log });
  assert.deepEqual(target.run, ['create two']);
});

it('migrate() takes it well that another server was first', async () => {
  const target: MigrationTarget = { ...createTarget(), apply: async () => false };
  await migrate({ target, migrations: [ONE], clock: systemClock, log });
});

it('migrate() refuses a newer database and a changed history, and applies nothing then', async () => {
  const newer = createTarget([ONE, TWO]);
  await assert.rejects(
    migrate({ target: newer, migrations: [ONE], clock: systemClock, log }),
    refusal('Invalid', /newer version.* is 2,/u),
  );
  const changed = createTarget([{ ...ONE, sql: 'other' }]);
  const rewritten = migrate({ target: changed, migrations: [ONE, TWO], clock: systemClock, log });
  await assert.rejects(rewritten, refusal('Invalid', /migration 1 "one" is not the one it was made with/u));
  assert.deepEqual([...newer.run, ...changed.run], []);
});

it('migrate() names the migration that failed and why, and stops there', async () => {
  const target = createTarget();
  const failing = migrate({ target, migrations: [{ ...ONE, sql: 'fail' }, TWO], clock: systemClock, log });
  await assert.rejects(failing, refusal('Unavailable', /migration 1 "one" failed, nothing was changed: no such table: x$/u));
  assert.deepEqual(target.run, []);
});
