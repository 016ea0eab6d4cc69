import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { systemClock } from '../../base/clock.ts';
import { migrate } from '../migrate.ts';
import type { Change } from '../store.ts';
import { MIGRATIONS } from './migrations.ts';
import { createSqliteMigrationTarget } from './sqlite-migration-target.ts';
import { createSqliteStore } from './sqlite-store.ts';

const times = { createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z' };

function documentOf(name: string, version: number): string {
  const metadata = { name, labels: {}, annotations: {}, uid: `uid-${name}`, generation: 1, ...times, resourceVersion: String(version) };
  return JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Thing', metadata, spec: { value: version } });
}

/** The file as migration 1 and its code left it: each change with a document of its own. */
async function writeFirstSchema(path: string): Promise<void> {
  const database = new DatabaseSync(path);
  const target = createSqliteMigrationTarget({ database, label: path, applicationId: 0x43415241 });
  await migrate({ target, migrations: MIGRATIONS.slice(0, 1), clock: systemClock, log: silentLog });
  database.prepare('INSERT INTO objects VALUES (?, ?, ?, ?, ?)').run('Thing', 'a', 'uid-a', 3, documentOf('a', 3));
  const record = database.prepare('INSERT INTO changes VALUES (?, ?, ?, ?, ?)');
  record.run(1, 'Thing', 'a', 'ADDED', documentOf('a', 1));
  record.run(2, 'Thing', 'b', 'ADDED', documentOf('b', 2));
  record.run(3, 'Thing', 'a', 'MODIFIED', documentOf('a', 3));
  record.run(4, 'Thing', 'b', 'DELETED', documentOf('b', 4));
  database.close();
}

test('a database of the first schema keeps its objects and its whole history', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'cara-migrations-'));
  const path = join(folder.path, 'cara.db');
  await writeFirstSchema(path);
  const store = await createSqliteStore({ path, clock: systemClock, log: silentLog });
  assert.deepEqual(
    (await store.list('Thing')).items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]),
    [['a', '3']],
  );
  const stop = new AbortController();
  const seen: Change[] = [];
  for await (const item of store.watch('Thing', 0, stop.signal)) {
    if (item.type === 'BOOKMARK') {
      break;
    }
    seen.push(item);
  }
  assert.deepEqual(
    seen.map(({ type, object }) => [type, object.metadata.name, object.metadata.resourceVersion]),
    [
      ['ADDED', 'a', '1'],
      ['ADDED', 'b', '2'],
      ['MODIFIED', 'a', '3'],
      ['DELETED', 'b', '4'],
    ],
  );
  await store.close();
});
