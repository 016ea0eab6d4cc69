/** Several stores on one PostgreSQL: what one answers, all show; nothing is written twice or over each other. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { hasReason } from '../../src/api/errors.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import type { Store } from '../../src/store/store.ts';
import { until } from '../../scripts/lib/wait.ts';
import { NO_POSTGRES, startPostgres, type PostgresServer } from '../support/stores/postgres.ts';
import { draft, silentLog, type Thing } from '../support/stores/store-backends.ts';

describe('several servers on one PostgreSQL', { skip: NO_POSTGRES, timeout: 60_000 }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server[Symbol.asyncDispose]());

  const openAll = async (count: number, url: string, logSize?: number): Promise<readonly Store[]> =>
    await Promise.all(
      Array.from({ length: count }, () =>
        createPostgresStore({ url, clock: systemClock, log: silentLog, ...(logSize !== undefined && { logSize }) }),
      ),
    );
  const closeAll = async (stores: readonly Store[]): Promise<void> => void (await Promise.all(stores.map((store) => store.close())));

  it('servers that start at once on an empty database migrate it once', async () => {
    const url = await server.createDatabase();
    const lines: Record<string, unknown>[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
    const stores = await Promise.all(Array.from({ length: 5 }, () => createPostgresStore({ url, clock: systemClock, log })));
    assert.equal(lines.filter(({ msg }) => msg === 'database migrated').length, 1);
    await closeAll(stores);
  });

  it('counters that all raise by compare-and-set lose no step, and everyone sees every version once, in order', async () => {
    const stores = await openAll(3, await server.createDatabase());
    const [first] = stores;
    assert.ok(first !== undefined);
    await first.commit([{ op: 'create', object: draft('counter') }]);
    const stop = new AbortController();
    const seen = stores.map((): number[] => []);
    const watching = stores.map(async (store, index) => {
      await store.refresh();
      for await (const item of store.watch<Thing>('Thing', 1, stop.signal)) {
        if (item.type !== 'BOOKMARK') {
          seen[index]?.push(item.version);
          assert.equal(item.object.spec.value, item.version - 1);
          assert.equal(item.previous?.spec.value, item.version - 2);
        }
      }
    });
    const raise = async (store: Store): Promise<void> => {
      for (let done = 0; done < 40;) {
        const current = await store.get<Thing>('Thing', 'counter');
        const value = current?.spec.value ?? 0;
        try {
          await store.commit([
            { op: 'update', object: draft('counter', value + 1), expectedVersion: current?.metadata.resourceVersion ?? '' },
          ]);
          done += 1;
        } catch (error) {
          assert.ok(hasReason(error, 'Conflict'), String(error));
        }
      }
    };
    await Promise.all(stores.flatMap((store) => [raise(store), raise(store)]));
    const expected = Array.from({ length: 240 }, (_, index) => index + 2);
    await until(() => seen.every(({ length }) => length >= 240), { what: 'all watchers to have seen all', timeoutMs: 10_000 });
    stop.abort();
    await Promise.all(watching);
    assert.deepEqual(
      seen,
      stores.map(() => expected),
    );
    for (const store of stores) {
      await store.refresh();
      assert.equal((await store.get<Thing>('Thing', 'counter'))?.spec.value, 240);
      assert.equal(await store.version(), 241);
    }
    await closeAll(stores);
  });

  it('refresh() shows what another server has answered, and a refusal is judged on what all have written', async () => {
    const stores = await openAll(2, await server.createDatabase());
    const [one, other] = stores;
    assert.ok(one !== undefined && other !== undefined);
    for (let round = 0; round < 30; round += 1) {
      const name = `n${round}`;
      await one.commit([{ op: 'create', object: draft(name, round) }]);
      if (round % 3 === 0) {
        await other.refresh();
        assert.equal((await other.get<Thing>('Thing', name))?.spec.value, round);
      } else if (round % 3 === 1) {
        await assert.rejects(other.commit([{ op: 'create', object: draft(name) }]), (error) => hasReason(error, 'AlreadyExists'));
      } else {
        await other.commit([{ op: 'delete', kind: 'Thing', name }]);
      }
    }
    await closeAll(stores);
  });

  it('watch() from a version that only another server has seen yet goes on from there', async () => {
    const stores = await openAll(2, await server.createDatabase());
    const [one, other] = stores;
    assert.ok(one !== undefined && other !== undefined);
    const [made] = await one.commit([{ op: 'create', object: draft('a') }]);
    const stop = new AbortController();
    const watcher = other.watch('Thing', Number(made?.metadata.resourceVersion), stop.signal)[Symbol.asyncIterator]();
    assert.deepEqual((await watcher.next()).value, { type: 'BOOKMARK', version: 1 });
    await one.commit([{ op: 'create', object: draft('b') }]);
    assert.equal((await watcher.next()).value.version, 2);
    stop.abort();
    await assert.rejects(other.watch('Thing', 99, new AbortController().signal)[Symbol.asyncIterator]().next(), (error) =>
      hasReason(error, 'Expired'),
    );
    await closeAll(stores);
  });

  it('a server that has fallen out of the log reads all anew, and its watchers list again', async () => {
    const url = await server.createDatabase();
    const stores = await openAll(2, url, 5);
    const [one, other] = stores;
    assert.ok(one !== undefined && other !== undefined);
    await one.commit([{ op: 'create', object: draft('a') }]);
    await other.refresh();
    const watcher = other.watch('Thing', 1, new AbortController().signal)[Symbol.asyncIterator]();
    await watcher.next();
    const name = new URL(url).pathname.slice(1);
    await server.query("UPDATE caravanserai.head SET version = 500, commit_id = 'x'; UPDATE caravanserai.objects SET version = 500", name);
    await server.query('DELETE FROM caravanserai.changes', name);
    await other.refresh();
    assert.equal(await other.version(), 500);
    await assert.rejects(watcher.next(), (error) => hasReason(error, 'Expired'));
    const [next] = await one.commit([{ op: 'update', object: draft('a', 7) }]);
    assert.equal(next?.metadata.resourceVersion, '501');
    await closeAll(stores);
  });

  it('a database that has lost commits is noticed, and no version is given out twice', async () => {
    const url = await server.createDatabase();
    const [store] = await openAll(1, url);
    assert.ok(store !== undefined);
    for (let value = 0; value < 5; value += 1) {
      await store.commit([{ op: 'create', object: draft(`n${value}`) }]);
    }
    const watcher = store.watch('Thing', 5, new AbortController().signal)[Symbol.asyncIterator]();
    await watcher.next();
    // as a standby that had only the first two
    const sql =
      'DELETE FROM caravanserai.changes WHERE version > 2; DELETE FROM caravanserai.objects WHERE version > 2; UPDATE caravanserai.head SET version = 2, commit_id = (SELECT commit_id FROM caravanserai.changes WHERE version = 2)';
    await server.query(sql, new URL(url).pathname.slice(1));
    const [made] = await store.commit([{ op: 'create', object: draft('after') }]);
    assert.ok(Number(made?.metadata.resourceVersion) > 1000);
    const { items } = await store.list('Thing');
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ['after', 'n0', 'n1'],
    );
    await assert.rejects(watcher.next(), (error) => hasReason(error, 'Expired'));
    await store.close();
  });

  it('a foreign schema and a newer one are refused in a line', async () => {
    const foreign = await server.createDatabase();
    await server.query('CREATE SCHEMA caravanserai; CREATE TABLE caravanserai.camels (id int)', new URL(foreign).pathname.slice(1));
    await assert.rejects(openAll(1, foreign), /schema "caravanserai" belongs to another program.*it has camels/u);
    const newer = await server.createDatabase();
    await closeAll(await openAll(1, newer));
    await server.query("INSERT INTO caravanserai.migrations VALUES (99, 'x', 'y', 'z')", new URL(newer).pathname.slice(1));
    await assert.rejects(openAll(1, newer), /written by a newer version: its schema is 99/u);
    await assert.rejects(openAll(1, newer.replace(/[^/]*$/u, 'none')), /there is no such database, make it with createdb/u);
  });
});
