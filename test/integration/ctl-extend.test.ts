/** caractrl extend against a server. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { ctl } from '../support/worlds/ctl.ts';

const HOUR_MS = 3_600_000;

type Api = ApiServer<Clock>;

async function start(spec: object): Promise<Api> {
  const api = await startApiOn({ clock: systemClock, listen: true });
  await api.apply('Project', 'shop', { spec: { services: [{ name: 'web', image: 'web:1' }], ...spec } });
  return api;
}

async function run(api: Api, line: string) {
  return await ctl(line.split(' '), { server: api.server.url });
}

async function specOf(api: Api): Promise<ProjectObject['spec']> {
  return (await api.call('GET', '/projects/shop')).body.spec as ProjectObject['spec'];
}

async function seen(api: Api, what: string, isReached: (status: ProjectObject['status']) => boolean): Promise<void> {
  await until(async () => isReached((await api.call('GET', '/projects/shop')).body.status), {
    what: `shop to be ${what}`,
    timeoutMs: 60_000,
  });
}

describe('caractrl extend', () => {
  test('adds to the ttl or to expireAt, and says until when it is', async () => {
    await using api = await start({ ttl: '2h' });
    const { code, stdout, stderr } = await run(api, 'extend shop 1h30m');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^project\/shop extended: expires at \d{4}-\S+Z, in 3h29m\n$/u);
    assert.equal((await specOf(api)).ttl, '3h30m');
    const atMs = Math.round(Date.now() / 1000) * 1000 + HOUR_MS;
    await api.apply('Project', 'shop', { spec: { services: [{ name: 'web', image: 'web:1' }], expireAt: new Date(atMs).toISOString() } });
    assert.equal((await run(api, 'extend project/shop 2h')).code, 0);
    assert.equal(Date.parse((await specOf(api)).expireAt ?? ''), atMs + 2 * HOUR_MS);
    assert.equal((await specOf(api)).ttl, undefined);
  });

  test('both of two that extend at once count', async () => {
    await using api = await start({ ttl: '1h' });
    const runs = await Promise.all([run(api, 'extend shop 1h'), run(api, 'extend shop 1h'), run(api, 'extend shop 1h')]);
    assert.deepEqual(
      runs.map(({ code }) => code),
      [0, 0, 0],
    );
    assert.equal((await specOf(api)).ttl, '4h');
  });

  test('--until sets the end, also for one that had none', async () => {
    await using api = await start({});
    const refused = await run(api, 'extend shop 1h');
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^error: Cannot extend project "shop" as it does not expire: it has neither ttl nor expireAt\nhint: .*--until TIME/u,
    );
    const done = await run(api, 'extend project shop --until 2099-01-01T00:00:00Z -o name');
    assert.deepEqual([done.code, done.stdout], [0, 'project/shop\n']);
    assert.equal((await specOf(api)).expireAt, '2099-01-01T00:00:00Z');
  });

  test('a late extension is refused, with why and what to do', async () => {
    await using api = await start({});
    await api.apply('Node', 'worker-01');
    await api.beat('worker-01', { allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } });
    await seen(api, 'placed', ({ nodeRef }) => nodeRef !== undefined);
    await api.apply('Project', 'shop', { spec: { services: [{ name: 'web', image: 'web:1' }], expireAt: '2026-01-01T00:00:00Z' } });
    await seen(api, 'expired', ({ phase }) => phase === 'Terminating');
    const { code, stderr } = await run(api, 'extend shop 1h');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /as it is too late: its time was up at 2026-01-01T00:00:00.000Z, and it is being removed\nhint: apply it again when it is gone/u,
    );
  });

  test('what is typed wrongly is refused before anyone is asked', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['extend', /Cannot tell which Project to extend\nhint: caractrl extend PROJECT DURATION/u],
      ['extend shop', /Cannot tell how much more time to give/u],
      ['extend shop soon', /Cannot use the duration "soon"/u],
      ['extend shop 0s', /Cannot extend by nothing/u],
      ['extend node/worker-01 1h', /only Projects can be extended/u],
      ['extend shop --until tomorrow', /Cannot use the time "tomorrow"/u],
      ['extend shop --until 2020-01-01T00:00:00Z', /as that is over/u],
      ['extend shop 1h --until 2099-01-01T00:00:00Z', /Cannot extend both by a duration and until a time/u],
    ];
    for (const [line, expected] of cases) {
      const { code, stderr } = await ctl(line.split(' '), { server: 'http://127.0.0.1:1' });
      assert.equal(code, 2, `${line}: ${stderr}`);
      assert.match(stderr, expected);
    }
  });
});
