/** Backup and restore, from every lasting backend into every other. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { hasReason } from '../../src/api/errors.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { restore } from '../../src/server/backup/restore.ts';
import { toBackup } from '../../src/server/backup/to-backup.ts';
import { loadCluster } from '../../src/server/cluster/cluster-record.ts';
import { saveBackup } from '../../src/store/backup/backup-file.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store, StoredObject } from '../../src/store/store.ts';
import { makeScratch } from '../support/scratch.ts';
import { NO_POSTGRES, startPostgres, type PostgresServer } from '../support/stores/postgres.ts';
import { draft, silentLog } from '../support/stores/store-backends.ts';

const deps = { clock: systemClock, random: systemRandom, log: silentLog };
const scratch = makeScratch();
let postgres: Promise<PostgresServer> | undefined;
let files = 0;

after(async () => {
  await (await postgres)?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const URLS: Readonly<Record<string, () => Promise<string>>> = {
  SQLite: async () => `sqlite:${join(scratch.path, `${(files += 1)}.db`)}`,
  ...(NO_POSTGRES === false && { PostgreSQL: async () => await (await (postgres ??= startPostgres())).createDatabase() }),
};

async function withStore<Result>(url: string, use: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await openStore(url, deps);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** A cluster of six objects, one of which had been changed and one deleted. */
async function fill(store: Store): Promise<void> {
  await loadCluster({ ...deps, store });
  await store.commit(['a', 'b', 'c', 'd', 'e', 'gone'].map((name) => ({ op: 'create', object: draft(name, 1) })));
  await store.commit([
    { op: 'update', object: draft('b', 2) },
    { op: 'delete', kind: 'Thing', name: 'gone' },
  ]);
}

const shown = (objects: readonly StoredObject[]): readonly unknown[] => objects.map(({ metadata, ...rest }) => ({ ...rest, metadata }));

for (const from of Object.keys(URLS)) {
  for (const to of Object.keys(URLS)) {
    describe(`a backup of ${from} restored into ${to}`, () => {
      it('brings back every object as it was, as another epoch, above every version that was given out', async () => {
        const source = (await URLS[from]?.()) ?? '';
        const target = (await URLS[to]?.()) ?? '';
        const file = join(scratch.path, `${(files += 1)}.backup`);
        const before = await withStore(source, async (store) => {
          await fill(store);
          await saveBackup(file, await toBackup(store, systemClock));
          return {
            things: (await store.list('Thing')).items,
            version: await store.version(),
            cluster: await loadCluster({ ...deps, store }),
          };
        });
        await withStore(target, async (store) => {
          await store.commit([{ op: 'create', object: draft('from before', 1) }]);
        });
        const { keptAs, objects } = await restore(file, { ...deps, databaseUrl: target });
        assert.equal(objects, 6);
        assert.match(keptAs ?? '', /before.restore.\d{8}t\d{9}z/u);
        await withStore(target, async (store) => {
          assert.deepEqual(shown((await store.list('Thing')).items), shown(before.things));
          const version = await store.version();
          assert.ok(version >= before.version + 1_000_000 && version >= Date.now(), String(version));
          const cluster = await loadCluster({ ...deps, store });
          assert.equal(cluster.id, before.cluster.id);
          assert.equal(before.cluster.epoch, undefined);
          assert.ok((cluster.epoch?.assignmentBase ?? 0) > 1_000_000);
          // who watched before lists again, and what comes is told from there
          const watching = new AbortController();
          const isExpired = await store
            .watch('Thing', before.version, watching.signal)
            [Symbol.asyncIterator]()
            .next()
            .then(
              () => false,
              (error: unknown) => hasReason(error, 'Expired'),
            );
          assert.ok(isExpired);
          const [created] = await store.commit([{ op: 'create', object: draft('after', 1) }]);
          assert.equal(created?.metadata.resourceVersion, String(version + 1));
        });
        await restore(file, { ...deps, databaseUrl: target });
        await withStore(target, async (store) => assert.equal((await store.list('Thing')).items.length, 5, 'again, over a restored one'));
      });

      it('is refused while a server has the database, and for a damaged file; then nothing has changed', async () => {
        const target = (await URLS[to]?.()) ?? '';
        const file = join(scratch.path, `${(files += 1)}.backup`);
        await withStore(target, async (store) => {
          await fill(store);
          await saveBackup(file, await toBackup(store, systemClock));
          await assert.rejects(restore(file, { ...deps, databaseUrl: target }), (error) => hasReason(error, 'Unavailable'));
        });
        const damaged = join(scratch.path, `${(files += 1)}.backup`);
        writeFileSync(damaged, 'nothing of the kind');
        await assert.rejects(restore(damaged, { ...deps, databaseUrl: target }), (error) => hasReason(error, 'Invalid'));
        await withStore(target, async (store) => assert.equal((await store.list('Thing')).items.length, 5));
      });
    });
  }
}

it('a damaged database is what a restore is for: it is kept aside as it is', async () => {
  const file = join(scratch.path, 'good.backup');
  await withStore((await URLS['SQLite']?.()) ?? '', async (store) => {
    await fill(store);
    await saveBackup(file, await toBackup(store, systemClock));
  });
  const path = join(scratch.path, 'broken.db');
  writeFileSync(path, 'this is no database any more');
  await assert.rejects(openStore(`sqlite:${path}`, deps), /restore|no SQLite database/u);
  const { keptAs } = await restore(file, { ...deps, databaseUrl: `sqlite:${path}` });
  assert.ok(keptAs !== undefined && existsSync(keptAs));
  await withStore(`sqlite:${path}`, async (store) => assert.equal((await store.list('Thing')).items.length, 5));
  assert.deepEqual(
    readdirSync(scratch.path).filter((name) => name.startsWith('broken.db') && !/^broken\.db(?:\.before-restore-.*)?$/u.test(name)),
    [],
  );
});
