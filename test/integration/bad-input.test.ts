/** Input about nodes that is wrong, each case over real HTTP: refused with its path or taken as harmless, and the node stays what it was. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NodeObject } from '../../src/api/node.ts';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../scripts/lib/wait.ts';
import { startApiOn } from '../support/worlds/api.ts';
import { ctl } from '../support/worlds/ctl.ts';

const GOOD = { capacity: { cpu: '4', memory: '8Gi' }, identity: { id: 'identity-1', bootId: 'boot-1' } };

async function startWorld() {
  const api = await startApiOn({ clock: systemClock, listen: true });
  const { url } = api.server;
  const post = async (path: string, body: unknown, method = 'POST'): Promise<{ readonly status: number; readonly problem: string }> => {
    const type = method === 'PATCH' ? 'application/apply-patch+json' : 'application/json';
    const response = await fetch(`${url}/api/v1/nodes/${path}`, { method, body: JSON.stringify(body), headers: { 'content-type': type } });
    return { status: response.status, problem: await response.text() };
  };
  await post('worker-01/register', { identity: GOOD.identity });
  await post('worker-01/heartbeat', GOOD);
  const node = async (): Promise<NodeObject> => (await (await fetch(`${url}/api/v1/nodes/worker-01`)).json()) as NodeObject;
  await until(async () => (await node()).status.state === 'Ready', { what: 'the node to be Ready', timeoutMs: 60_000 });
  const before = (await node()).metadata.resourceVersion;
  return {
    url,
    node,
    heartbeat: (body: unknown) => post('worker-01/heartbeat', body),
    post,
    /** The node is as it was, and its agent is still heard. */
    assertUnharmed: async (): Promise<void> => {
      assert.equal((await post('worker-01/heartbeat', GOOD)).status, 204);
      const { metadata, status } = await node();
      assert.deepEqual([metadata.resourceVersion, status.state, status.capacity], [before, 'Ready', GOOD.capacity]);
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

describe('bad input', () => {
  for (const [what, body, pointer] of [
    ['negative capacity', { capacity: { cpu: '-4' } }, '/capacity/cpu'],
    ['negative capacity as a number', { capacity: { memory: -1 } }, '/capacity/memory'],
    ['a port that is none', { network: { agentPort: 70_000 } }, '/network/agentPort'],
    ['state: "Banana"', { state: 'Banana' }, '/state'],
    ['300 conditions', { conditions: Array.from({ length: 300 }, (_, index) => ({ type: `Odd${index}`, status: 'True' })) }, '/conditions'],
    ['a time that is none', { network: { throughput: { lastTestTime: 'yesterday' } } }, '/network/throughput/lastTestTime'],
  ] as const) {
    test(`a heartbeat with ${what} is refused with its path`, async () => {
      await using world = await startWorld();
      const { status, problem } = await world.heartbeat({ ...body, identity: GOOD.identity });
      assert.equal(status, 400);
      assert.equal((JSON.parse(problem) as { errors: { pointer: string }[] }).errors[0]?.pointer, pointer);
      await world.assertUnharmed();
    });
  }

  test('a date of year 0001 is data: it is kept, shown, and judges nothing', async () => {
    await using world = await startWorld();
    const zero = '0001-01-01T00:00:00Z';
    const conditions = [{ type: 'DiskPressure', status: 'False', reason: 'EnoughDisk', lastHeartbeatTime: zero, lastTransitionTime: zero }];
    const network = { throughput: { download: '1 Mbit/s', lastTestTime: zero } };
    assert.equal((await world.heartbeat({ ...GOOD, network, conditions })).status, 204);
    const node = await until(
      async () => {
        const found = await world.node();
        return found.status.network === undefined ? undefined : found;
      },
      { what: 'the report', timeoutMs: 60_000 },
    );
    assert.equal(node.status.network?.throughput?.lastTestTime, zero);
    assert.equal(node.status.state, 'Ready');
    const disk = node.status.conditions.find(({ type }) => type === 'DiskPressure');
    assert.ok((disk?.lastTransitionTime ?? '') > '2020' && (disk?.lastHeartbeatTime ?? '') > '2020', 'its times are those of the server');
    const { code, stdout } = await ctl(['describe', 'node', 'worker-01'], { server: world.url });
    assert.equal(code, 0);
    assert.match(stdout, /1 Mbit\/s down, measured 0001-01-01T00:00:00Z/u);
  });

  test('a label of 1 MB is refused, as too large a body or, in one that is not, with its path', async () => {
    await using world = await startWorld();
    const manifest = (value: string) => ({
      apiVersion: 'caravanserai/v1',
      kind: 'Node',
      metadata: { name: 'worker-01', labels: { big: value } },
    });
    assert.equal((await world.post('worker-01', manifest('x'.repeat(1024 * 1024)), 'PATCH')).status, 413);
    const { status, problem } = await world.post('worker-01', manifest('x'.repeat(1_000_000)), 'PATCH');
    assert.equal(status, 400);
    assert.match(problem, /"pointer":"\/metadata\/labels\/big"/u);
    assert.ok(problem.length < 4096, 'the refusal does not repeat it');
    await world.assertUnharmed();
  });

  test("a heartbeat under someone else's name is refused; a name in the body means nothing, as the path names the node", async () => {
    await using world = await startWorld();
    const other = await world.heartbeat({ capacity: { cpu: '64' }, identity: { id: 'identity-2', bootId: 'boot-2' } });
    assert.equal(other.status, 409);
    assert.match(other.problem, /"reason":"NameTaken"/u);
    assert.equal((await world.heartbeat({ ...GOOD, name: 'worker-02' })).status, 204);
    await until(async () => (await world.node()).status.conditions.some(({ type }) => type === 'DuplicateIdentity'), {
      what: 'the node to say so',
      timeoutMs: 60_000,
    });
    assert.deepEqual((await world.node()).status.capacity, GOOD.capacity);
    assert.equal((await world.heartbeat(GOOD)).status, 204);
  });

  test('caractrl delete node of a name that never was says so in one line, and exits 1', async () => {
    await using world = await startWorld();
    const result = await ctl(['delete', 'node', 'never-was'], { server: world.url });
    assert.deepEqual(result, { code: 1, stdout: '', stderr: 'error: node "never-was" not found\n' });
    assert.equal((await ctl(['delete', 'node', 'never-was', '--ignore-not-found'], { server: world.url })).code, 0);
    await world.assertUnharmed();
  });
});
