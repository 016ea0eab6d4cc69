/** caractrl top and describe: what is asked for on each node against what is left; caractrl node reset-identity. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn } from '../support/worlds/api.ts';
import { ctl } from '../support/worlds/ctl.ts';
import { boundOf } from '../support/objects/resources.ts';

const ALLOCATABLE = { cpu: '3800m', memory: '7680Mi', disk: '99Gi' };

async function startWorld() {
  const api = await startApiOn({ clock: systemClock, listen: true });
  for (const name of ['worker-01', 'worker-02']) {
    await api.call('POST', `/nodes/${name}/register`, { body: {} });
  }
  await api.beat('worker-01', { capacity: { cpu: '4', memory: '8Gi', disk: '100Gi' }, allocatable: ALLOCATABLE });
  const projects = [
    boundOf('shop', 'worker-01', { requests: { cpu: '250m', memory: '1536Mi' } }),
    boundOf('blog', 'worker-01', { requests: { cpu: '1', memory: '7Gi', disk: '10Gi' } }),
    boundOf('gone', 'worker-01', { requests: { cpu: '2' }, status: { phase: 'Terminated' } }),
    boundOf('elsewhere', 'worker-02', { requests: { cpu: '2' } }),
  ];
  await api.store.commit(projects.map((object) => ({ op: 'create', object })));
  const run = (line: string) => ctl(line.split(' '), { server: api.server.url });
  while (!(await run('get nodes worker-01')).stdout.includes('Ready  ')) {
    await systemClock.sleep(10, AbortSignal.timeout(10_000));
  }
  return { api, run, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

describe('caractrl top', () => {
  test('top nodes shows what is asked for, of how much, what is left, and of a node that reports nothing what it can', async () => {
    await using world = await startWorld();
    const { stdout } = await world.run('top nodes');
    const [header, first, second] = stdout.split('\n').map((line) => line.split(/ {2,}/u));
    assert.deepEqual(header?.slice(0, 7), ['NAME', 'STATE', 'CPU USED', 'CPU ASKED', 'OF', 'LEFT', '%']);
    // more memory is asked for than there is: the two came before the node shrank
    assert.deepEqual(first, [
      'worker-01',
      'Ready',
      '-', // no agent is there that could be asked
      '1250m',
      '3800m',
      '2550m',
      '32%',
      '-',
      '8.5Gi',
      '7.5Gi',
      '-1Gi',
      '113%',
      '-',
      '10Gi',
      '99Gi',
      '89Gi',
      '10%',
      '-',
      '-',
      '2',
    ]);
    assert.deepEqual(second, [
      'worker-02',
      'NotReady',
      '-',
      '2',
      '-',
      '-',
      '-',
      '-',
      '0',
      '-',
      '-',
      '-',
      '-',
      '0',
      '-',
      '-',
      '-',
      '-',
      '-',
      '1',
    ]);
    assert.equal((await world.run('top')).stdout, stdout);
    assert.doesNotMatch((await world.run('top no worker-02')).stdout, /worker-01/u);
  });

  test('top nodes -o json gives exact quantities', async () => {
    await using world = await startWorld();
    const { items, kind } = JSON.parse((await world.run('top node worker-01 -o json')).stdout);
    assert.equal(kind, 'NodeUsageList');
    assert.deepEqual(items, [
      {
        name: 'worker-01',
        state: 'Ready',
        projects: 2,
        resources: {
          cpu: { asked: '1250m', allocatable: '3800m', left: '2550m', percent: 32 },
          memory: { asked: '8704Mi', allocatable: '7680Mi', left: '-1Gi', percent: 113 },
          disk: { asked: '10Gi', allocatable: '99Gi', left: '89Gi', percent: 10 },
        },
      },
    ]);
  });

  test('describe node has the same beside capacity', async () => {
    await using world = await startWorld();
    const { stdout } = await world.run('describe node worker-01');
    assert.match(
      stdout,
      /CAPACITY +ALLOCATABLE +ASKED +LEFT +ASKED %\n +cpu +4 +3800m +1250m +2550m +32%\n +memory +8Gi +7680Mi +8\.5Gi +-1Gi +113%/u,
    );
  });

  test('top refuses what uses nothing, and a name that never was', async () => {
    await using world = await startWorld();
    const [secrets, nobody] = [await world.run('top secrets'), await world.run('top nodes nobody')];
    assert.deepEqual([secrets.code, nobody.code, nobody.stderr], [2, 1, 'error: node "nobody" not found\n']);
    assert.equal((await world.run('top services nobody')).stderr, 'error: project "nobody" not found\n');
    assert.match((await world.run('top services shop/nope')).stderr, /its services are/u);
    assert.match((await world.run('top services --sort-by size')).stderr, /must be one of name, cpu, memory, network, disk/u);
    assert.equal((await world.run('top nodes worker-01 -l a=b')).code, 2);
  });
});

describe('caractrl node', () => {
  test('node reset-identity lets another machine have the name', async () => {
    await using world = await startWorld();
    const register = (id: string) => world.api.call('POST', '/nodes/worker-01/register', { body: { identity: { id } } });
    await register('identity-1');
    const refused = await register('identity-2');
    assert.equal(refused.status, 409);
    const command = /caractrl (node reset-identity worker-01)/u.exec(refused.body.detail)?.[1] ?? '';
    const { code, stdout } = await world.run(command);
    assert.deepEqual([code, stdout], [0, 'node/worker-01 identity reset: the next machine that registers under this name gets it\n']);
    assert.equal((await register('identity-2')).status, 200);
  });

  test('node says what it knows, and that a node never was', async () => {
    await using world = await startWorld();
    assert.deepEqual(await world.run('node reset-identity nobody'), { code: 1, stdout: '', stderr: 'error: node "nobody" not found\n' });
    const misused = await world.run('node reboot worker-01');
    assert.equal(misused.code, 2);
    assert.match(misused.stderr, /reset-identity/u);
  });
});
