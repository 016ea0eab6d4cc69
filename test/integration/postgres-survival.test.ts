/** A database that is killed, restarted, paused, cut off and full, under writers and a watcher: nothing acknowledged is lost, nothing refused is there. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { hasReason } from '../../src/api/errors.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import type { Store } from '../../src/store/store.ts';
import { run, runOrThrow } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { NO_POSTGRES, startPostgres, type PostgresServer } from '../support/stores/postgres.ts';
import { makeScratch } from '../support/scratch.ts';
import { draft, silentLog, type Thing } from '../support/stores/store-backends.ts';

interface Written {
  /** name -> version */
  readonly acknowledged: Map<string, string>;
  readonly refused: Set<string>;
  /** of these nobody was told */
  readonly unknown: Set<string>;
}

/** Writes two objects a commit until the signal aborts, and keeps what it was told. */
async function write(store: Store, caller: string, written: Written, signal: AbortSignal): Promise<void> {
  for (let step = 1; !signal.aborted; step += 1) {
    const name = `${caller}-${step}`;
    try {
      const [made] = await store.commit([
        { op: 'create', object: draft(name, step) },
        { op: 'create', object: draft(`${name}-twin`, step) },
      ]);
      written.acknowledged.set(name, made?.metadata.resourceVersion ?? '');
    } catch (error) {
      assert.ok(hasReason(error, 'Unavailable'), String(error));
      assert.ok(error.retryAfterMs !== undefined);
      (error.message.startsWith('Cannot tell') ? written.unknown : written.refused).add(name);
      await systemClock.sleep(20, signal).catch(() => undefined);
    }
  }
}

/** Follows as a client does. @returns the versions that it was shown */
async function follow(store: Store, signal: AbortSignal): Promise<readonly number[]> {
  const versions: number[] = [];
  while (!signal.aborted) {
    try {
      for await (const item of store.watch('Thing', versions.at(-1) ?? 0, signal)) {
        if (item.type !== 'BOOKMARK') {
          versions.push(item.version);
        }
      }
    } catch (error) {
      assert.ok(hasReason(error, 'Unavailable'), String(error));
      await systemClock.sleep(20, signal).catch(() => undefined);
    }
  }
  return versions;
}

async function runUnderLoad(url: string, faults: () => Promise<void>): Promise<Written> {
  const stores = await Promise.all([1, 2].map(() => createPostgresStore({ url, clock: systemClock, log: silentLog, logSize: 1_000_000 })));
  const written: Written = { acknowledged: new Map(), refused: new Set(), unknown: new Set() };
  const stop = new AbortController();
  const end = new AbortController();
  const writing = stores.flatMap((store, index) =>
    Array.from({ length: 4 }, (_, caller) => write(store, `w${index}${caller}`, written, stop.signal)),
  );
  const following = stores.map((store) => follow(store, end.signal));
  try {
    return await observe();
  } finally {
    stop.abort();
    end.abort();
    await Promise.all(stores.map((store) => store.close()));
  }

  async function observe(): Promise<Written> {
    await faults();
    const before = written.acknowledged.size;
    await until(() => written.acknowledged.size > before, { what: 'writing to go on', timeoutMs: 60_000 });
    stop.abort();
    await Promise.all(writing);
    for (const store of stores) {
      await store.refresh();
      await check(store, written);
    }
    const newest = await stores[0]?.version();
    end.abort();
    for (const versions of await Promise.all(following)) {
      assert.deepEqual(
        versions,
        Array.from({ length: versions.length }, (_, index) => index + 1),
        'a watch has a gap, or a step back',
      );
      assert.ok(versions.length <= (newest ?? 0));
    }
    return written;
  }
}

async function check(store: Store, { acknowledged, refused, unknown }: Written): Promise<void> {
  const there = new Map((await store.list<Thing>('Thing')).items.map((item) => [item.metadata.name, item]));
  for (const [name, version] of acknowledged) {
    assert.equal(there.get(name)?.metadata.resourceVersion, version, `${name} was acknowledged`);
  }
  for (const name of refused) {
    assert.ok(!there.has(name), `${name} was refused and is there`);
  }
  for (const name of there.keys()) {
    const single = name.replace(/-twin$/u, '');
    assert.ok(acknowledged.has(single) || unknown.has(single), `${name} was never told`);
    assert.ok(there.has(single) && there.has(`${single}-twin`), `${single} is there in part`);
  }
  assert.equal(new Set([...there.values()].map(({ metadata }) => metadata.resourceVersion)).size, there.size);
}

describe('a database in trouble', { skip: NO_POSTGRES, timeout: 120_000 }, () => {
  const cut = (server: PostgresServer): Promise<unknown> =>
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cara-server%'");
  const pause = (ms: number): Promise<void> => systemClock.sleep(ms, new AbortController().signal); // how long trouble lasts, not what is waited for

  it('that is killed, restarted, paused and cuts connections loses nothing and makes nothing up', async () => {
    await using server = await startPostgres({ isDurable: true });
    const written = await runUnderLoad(await server.createDatabase(), async () => {
      for (let round = 0; round < 2; round += 1) {
        await pause(300);
        await server.kill();
        await pause(300);
        await server.start();
        for (let time = 0; time < 5; time += 1) {
          await pause(100);
          await cut(server);
        }
      }
      await pause(300);
      await server.stop();
      await server.start();
      await pause(300);
      server.pause();
      await pause(8_000); // longer than anything waits for an answer
      server.resume();
    });
    assert.ok(
      written.acknowledged.size > 100 && written.refused.size > 10,
      JSON.stringify([written.acknowledged.size, written.refused.size]),
    );
  });

  it(
    'whose disk is full refuses, and goes on when there is space again',
    { skip: process.getuid?.() !== 0 && 'mounting needs root' },
    async () => {
      using scratch = makeScratch();
      const disk = path.join(scratch.path, 'disk');
      mkdirSync(disk);
      await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', disk]);
      try {
        chmodSync(scratch.path, 0o755);
        await using server = await startPostgres({
          dataDir: path.join(disk, 'pg'),
          settings: ['max_wal_size=32MB', 'min_wal_size=32MB', 'wal_recycle=off'],
        });
        const ballast = path.join(disk, 'ballast');
        const written = await runUnderLoad(await server.createDatabase(), async () => {
          await pause(300);
          await run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1M', 'count=500']); // fails when it has filled what there is
          await pause(3_000);
          rmSync(ballast);
          await server.query('SELECT 1').catch(() => server.start()); // a full disk for its log stops PostgreSQL
        });
        assert.ok(written.refused.size + written.unknown.size > 0);
      } finally {
        await runOrThrow('umount', ['-l', disk]);
      }
    },
  );
});
