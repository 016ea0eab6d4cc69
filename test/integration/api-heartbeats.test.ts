import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const TIMEOUT_MS = 90_000;
const REPORT = {
  network: { ip: '100.64.0.5', agentPort: 9090, mode: 'Direct' as const },
  capacity: { cpu: '4', memory: '8Gi', disk: '100Gi' },
  allocatable: { cpu: '3800m', memory: '7936Mi', disk: '99Gi' },
  info: { agentVersion: '0.1.0' },
  conditions: [{ type: 'DiskPressure', status: 'False' as const, reason: 'DiskFree', message: '80 % free' }],
};

async function register(api: ApiServer, name: string, id?: string, rest: object = {}) {
  const body = { hostname: `${name}.local`, ...(id !== undefined && { identity: { id: `identity-${id}` } }), ...rest };
  return api.call('POST', `/nodes/${name}/register`, { body });
}

function reasonOf(node: NodeObject, type: string): string {
  return findCondition(node.status.conditions, type)?.reason ?? 'absent';
}

async function stateOf(api: ApiServer, name: string): Promise<string> {
  return (await api.node(name)).status.state;
}

describe('heartbeats', () => {
  test('a node that registers has never connected, and is Ready within 50 ms of its first heartbeat, with what it reported', async () => {
    await using api = await startApi();
    const registered = await register(api, 'worker-01');
    assert.equal(registered.status, 200);
    assert.equal(registered.body.spec.hostname, 'worker-01.local');
    assert.equal(reasonOf(registered.body, 'NoHeartbeat'), 'NeverConnected');
    assert.equal(await api.beat('worker-01', REPORT), 204);
    await api.clock.advance(50);
    const node = await api.node('worker-01');
    assert.equal(node.status.state, 'Ready');
    assert.deepEqual(node.status.capacity, REPORT.capacity);
    assert.deepEqual(node.status.allocatable, REPORT.allocatable);
    assert.deepEqual(node.status.network, REPORT.network);
    assert.deepEqual(node.status.info, REPORT.info);
    assert.equal(reasonOf(node, 'DiskPressure'), 'DiskFree');
    assert.equal(node.status.lastHeartbeat, '2026-01-01T00:00:00.000Z');
  });

  test('steady heartbeats change no resourceVersion and write nothing, but lastHeartbeat is read as it is', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(1000);
    const version = await api.store.version();
    for (let beat = 0; beat < 10; beat += 1) {
      await api.clock.advance(30_000);
      assert.equal(await api.beat('worker-01', beat % 2 === 0 ? REPORT : {}), 204);
    }
    await api.clock.advance(1000);
    assert.equal(await api.store.version(), version);
    const node = await api.node('worker-01');
    assert.equal(node.status.lastHeartbeat, '2026-01-01T00:05:01.000Z');
    assert.equal(node.status.conditions[0]?.lastHeartbeatTime, node.status.lastHeartbeat);
    const listed = (await api.call('GET', '/nodes')).body.items[0] as NodeObject;
    assert.equal(listed.status.lastHeartbeat, node.status.lastHeartbeat);
  });

  test('a silent node is NotReady at its timeout, not before, within a second, and Ready again with the next heartbeat', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(TIMEOUT_MS - 1);
    assert.equal(await stateOf(api, 'worker-01'), 'Ready');
    await api.clock.advance(100);
    const silent = await api.node('worker-01');
    assert.equal(silent.status.state, 'NotReady');
    assert.equal(reasonOf(silent, 'NoHeartbeat'), 'HeartbeatTimeout');
    assert.deepEqual(silent.status.capacity, REPORT.capacity);
    await api.clock.advance(1_000_000);
    assert.equal(await api.beat('worker-01', REPORT), 204); // the very text of the one before the silence
    await api.clock.advance(50);
    const back = await api.node('worker-01');
    assert.equal(back.status.state, 'Ready');
    assert.equal(reasonOf(back, 'DiskPressure'), 'DiskFree');
  });

  test('critical conditions make a node NotReady though it beats; pressure that is not critical does not', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    const withCondition = async (type: string, reason: string): Promise<string> => {
      await api.beat('worker-01', { conditions: [{ type, status: 'True', reason, message: 'measured' }] });
      await api.clock.advance(50);
      return stateOf(api, 'worker-01');
    };
    assert.equal(await withCondition('RuntimeUnavailable', 'DockerDown'), 'NotReady');
    assert.equal(await withCondition('DiskPressure', 'DiskCritical'), 'NotReady');
    assert.equal(await withCondition('DiskPressure', 'DiskLow'), 'Ready');
    assert.equal(await withCondition('MemoryPressure', 'MemoryLow'), 'Ready');
  });

  test('what is reported between two flushes is not lost', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await Promise.all([
      api.beat('worker-01', { capacity: { cpu: '4' } }),
      api.beat('worker-01', { network: { ip: '10.0.0.1' } }),
      api.beat('worker-01', { capacity: { cpu: '8' } }),
      api.apply('Node', 'worker-01', { spec: { unschedulable: true } }),
      api.beat('worker-01', { info: { osImage: 'Debian' } }),
    ]);
    await api.clock.advance(100);
    const { status } = await api.node('worker-01');
    assert.deepEqual([status.capacity, status.network, status.info], [{ cpu: '8' }, { ip: '10.0.0.1' }, { osImage: 'Debian' }]);
    assert.equal(status.state, 'Draining');
  });

  test('a body of any kind that is no heartbeat is refused, and does not count as one', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    const refused: readonly (readonly [unknown, string])[] = [
      [{ capacity: { cpu: '-1' } }, '/capacity/cpu'],
      [{ capacity: { memory: '4gb' } }, '/capacity/memory'],
      [{ state: 'Banana' }, '/state'],
      [{ conditions: Array.from({ length: 300 }, () => ({ type: 'Ready', status: 'True' })) }, '/conditions'],
      [{ network: { agentPort: 70_000 } }, '/network/agentPort'],
      [[], ''],
      ['{"state":', ''],
    ];
    for (const [body, pointer] of refused) {
      const answer = await api.call('POST', '/nodes/worker-01/heartbeat', { body });
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.equal(answer.body.errors[0].pointer, pointer, JSON.stringify(answer.body));
    }
    assert.equal((await api.call('POST', '/nodes/worker-01/heartbeat', { body: '{}', type: 'text/plain' })).status, 415);
    await api.clock.advance(100);
    assert.equal(reasonOf(await api.node('worker-01'), 'NoHeartbeat'), 'NeverConnected');
    assert.equal((await api.call('POST', '/nodes/worker-01/heartbeat')).status, 204); // no body at all is a heartbeat
  });

  test('an agent that is newer than its server is heard: what is not known is ignored, and not kept', async () => {
    await using api = await startApi();
    const registered = await api.call('POST', '/nodes/worker-01/register', {
      body: { info: { agentVersion: '9.0.0', build: 'x' }, gpus: 2 },
    });
    assert.equal(registered.status, 200);
    const body = { capacity: { cpu: '4', gpu: '2' }, conditions: [{ type: 'DiskPressure', status: 'False', severity: 'low' }], pods: 7 };
    assert.equal((await api.call('POST', '/nodes/worker-01/heartbeat', { body })).status, 204);
    await api.apply('Project', 'shop');
    await api.clock.advance(1000);
    const { assignment, nodeRef } = (await api.call('GET', '/projects/shop')).body.status;
    assert.equal(nodeRef, 'worker-01');
    const report = { phase: 'Running', assignment, services: [{ name: 'web', state: 'Running', ready: true, cpu: 1 }], pressure: {} };
    assert.equal((await api.call('PATCH', '/projects/shop/status', { body: report, type: 'application/merge-patch+json' })).status, 204);
    const { status } = await api.node('worker-01');
    assert.deepEqual([status.state, status.info, status.capacity], ['Ready', { agentVersion: '9.0.0' }, { cpu: '4' }]);
    const project = (await api.call('GET', '/projects/shop')).body.status;
    assert.deepEqual([project.phase, project.services], ['Running', [{ name: 'web', state: 'Running', ready: true }]]);
  });

  test('POST, heartbeat and nothing else make a complete agent', async () => {
    await using api = await startApi();
    const body = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'small' } };
    assert.equal((await api.call('POST', '/nodes', { body })).status, 201);
    assert.equal(await api.beat('small'), 204);
    assert.equal((await api.call('POST', '/nodes', { body })).status, 409);
    await api.clock.advance(50);
    assert.equal(await stateOf(api, 'small'), 'Ready');
  });
});

describe('time', () => {
  test('jumps of the wall clock judge no node', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    for (const jumpMs of [86_400_000, -2 * 86_400_000]) {
      await api.beat('worker-01', REPORT);
      api.clock.jumpWall(jumpMs);
      await api.clock.advance(TIMEOUT_MS - 1000);
      assert.equal(await stateOf(api, 'worker-01'), 'Ready');
    }
    await api.clock.advance(2000);
    assert.equal(await stateOf(api, 'worker-01'), 'NotReady');
  });

  test("a stall of the server's own is credited to the nodes, once", async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(60_000);
    api.clock.stall(600_000); // as SIGSTOP and SIGCONT
    await api.clock.advance(29_000);
    assert.equal(await stateOf(api, 'worker-01'), 'Ready');
    await api.clock.advance(2000);
    assert.equal(await stateOf(api, 'worker-01'), 'NotReady');
  });

  test('a heartbeat that arrives first after a stall gives one timeout, not the stall on top', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(1000);
    api.clock.stall(600_000);
    await api.beat('worker-01', REPORT);
    await api.clock.advance(TIMEOUT_MS - 10);
    assert.equal(await stateOf(api, 'worker-01'), 'Ready');
    await api.clock.advance(1000);
    assert.equal(await stateOf(api, 'worker-01'), 'NotReady');
  });

  test('after a restart every node that was heard has one full timeout, and one that was silent stays NotReady until it beats', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startApi({ clock, store });
      await register(api, 'silent');
      await api.beat('silent', REPORT);
      await clock.advance(TIMEOUT_MS + 1000);
      await register(api, 'steady');
      await api.beat('steady', REPORT);
      await clock.advance(1000);
    }
    await clock.advance(1_000_000);
    await using api = await startApi({ clock, store });
    await clock.advance(TIMEOUT_MS - 1000);
    assert.equal(await stateOf(api, 'steady'), 'Ready');
    assert.equal(await stateOf(api, 'silent'), 'NotReady');
    await clock.advance(2000);
    assert.equal(await stateOf(api, 'steady'), 'NotReady');
    await api.beat('silent', REPORT);
    await clock.advance(50);
    assert.equal(await stateOf(api, 'silent'), 'Ready');
    await store.close();
  });

  test('after a graceful restart lastHeartbeat does not go back, which one write for the whole fleet sees to', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const names = ['a', 'b', 'c'];
    let before: readonly NodeObject[] = [];
    let version = 0;
    {
      await using api = await startApi({ clock, store });
      for (const name of names) {
        await register(api, name);
        await api.beat(name, REPORT);
      }
      for (let beat = 0; beat < 10; beat += 1) {
        await clock.advance(30_000);
        await Promise.all(names.map((name) => api.beat(name, REPORT)));
      }
      await clock.advance(1000);
      before = await Promise.all(names.map((name) => api.node(name)));
      version = await store.version();
    }
    assert.equal(await store.version(), version + 1);
    for (let restart = 0; restart < 2; restart += 1) {
      await clock.advance(5000);
      await using api = await startApi({ clock, store });
      for (const node of before) {
        const after = await api.node(node.metadata.name);
        assert.equal(after.status.lastHeartbeat, node.status.lastHeartbeat);
        assert.equal(after.metadata.resourceVersion, node.metadata.resourceVersion);
      }
    }
    await using api = await startApi({ clock, store });
    await clock.advance(TIMEOUT_MS + 1000);
    const silent = (await api.node('a')).status;
    assert.equal(silent.lastHeartbeat, before[0]?.status.lastHeartbeat);
    assert.match(silent.conditions[0]?.message ?? '', new RegExp(`the last at ${silent.lastHeartbeat}`, 'u'));
    await store.close();
  });
});

describe('deleted nodes', () => {
  test('a registration that is no start of its agent brings nothing back: a renewal, or one of a process that had registered before', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    const start = (bootId: string, rest: object = {}) => ({ identity: { id: 'identity-1', bootId }, ...rest });
    const send = (api: ApiServer, body: object) => api.call('POST', '/nodes/worker-01/register', { body });
    {
      await using api = await startApi({ clock, store });
      assert.equal((await send(api, start('boot-1', { renewal: true }))).status, 200, 'of a node that the server does not know');
      assert.equal((await send(api, start('boot-2'))).status, 200);
      assert.equal((await send(api, start('boot-2', { renewal: true }))).status, 200);
      await api.call('DELETE', '/nodes/worker-01');
    }
    await using api = await startApi({ clock, store });
    for (const body of [start('boot-3', { renewal: true }), start('boot-2'), start('boot-1'), { renewal: true }]) {
      const refused = await send(api, body);
      assert.deepEqual([refused.status, refused.body.reason], [410, 'NodeDeleted'], JSON.stringify(body));
      assert.match(refused.body.detail, /node "worker-01" was deleted while its agent ran: restart the agent/u);
    }
    assert.equal((await api.call('GET', '/nodes/worker-01')).status, 404);
    assert.equal((await send(api, start('boot-3'))).status, 200);
    assert.equal((await send(api, start('boot-1', { renewal: true }))).status, 200, 'there is nothing to bring back any more');
  });

  test('heartbeats get 410 and bring nothing back, also after a restart, until the agent registers', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startApi({ clock, store });
      await register(api, 'worker-01');
      await api.beat('worker-01', REPORT);
      await clock.advance(100);
      await api.call('DELETE', '/nodes/worker-01');
      assert.equal(await api.beat('worker-01', REPORT), 410);
      await clock.advance(100);
      assert.equal((await api.call('GET', '/nodes/worker-01')).status, 404);
    }
    await using api = await startApi({ clock, store });
    const refused = await api.call('POST', '/nodes/worker-01/heartbeat', { body: REPORT });
    assert.deepEqual([refused.status, refused.body.reason], [410, 'NodeDeleted']);
    assert.equal((await api.call('GET', '/nodes')).body.items.length, 0);
    assert.equal((await register(api, 'worker-01')).status, 200);
    assert.equal(await api.beat('worker-01', REPORT), 204);
    await clock.advance(50);
    assert.equal(await stateOf(api, 'worker-01'), 'Ready');
    await store.close();
  });

  test('a heartbeat of a node that never was gets 404', async () => {
    await using api = await startApi();
    const answer = await api.call('POST', '/nodes/nobody/heartbeat', { body: {} });
    assert.deepEqual([answer.status, answer.body.reason], [404, 'NotFound']);
  });

  test('a record made anew takes heartbeats, and knows nothing of the old one', async () => {
    await using api = await startApi();
    await register(api, 'worker-01');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(100);
    const old = await api.node('worker-01');
    await api.call('DELETE', '/nodes/worker-01');
    const anew = await api.apply('Node', 'worker-01', { metadata: { labels: { zone: 'x' } } });
    assert.equal(reasonOf(anew.body, 'NoHeartbeat'), 'NeverConnected');
    assert.equal(anew.body.status.capacity, undefined);
    assert.notEqual(anew.body.metadata.uid, old.metadata.uid);
    assert.equal(await api.beat('worker-01', REPORT), 204);
    await api.clock.advance(50);
    assert.equal(await stateOf(api, 'worker-01'), 'Ready');
  });
});

describe('registration', () => {
  test('keeps labels, annotations and spec of a pre-created record, and fills hostname only where empty', async () => {
    await using api = await startApi();
    const labels = { 'caravanserai.io/zone': 'ed312' };
    await api.apply('Node', 'worker-01', {
      metadata: { labels, annotations: { a: 'b' } },
      spec: { hostname: 'mine', unschedulable: true },
    });
    const first = await register(api, 'worker-01', 'a', { info: { agentVersion: '0.1.0' } });
    assert.deepEqual(first.body.spec, { hostname: 'mine', unschedulable: true });
    assert.deepEqual([first.body.metadata.labels, first.body.metadata.annotations], [labels, { a: 'b' }]);
    assert.deepEqual(first.body.status.info, { agentVersion: '0.1.0' });
    await api.apply('Node', 'bare');
    assert.equal((await register(api, 'bare')).body.spec.hostname, 'bare.local');
  });

  test('a restart of the same agent changes nothing', async () => {
    await using api = await startApi();
    await register(api, 'worker-01', 'a');
    await api.beat('worker-01', REPORT);
    await api.clock.advance(100);
    const before = await api.node('worker-01');
    const again = await register(api, 'worker-01', 'a');
    assert.equal(again.status, 200);
    assert.equal(again.body.metadata.resourceVersion, before.metadata.resourceVersion);
    assert.equal(again.body.status.state, 'Ready');
  });

  test('another machine is refused while the holder lives, told both and what mends it, and let in when it is silent', async () => {
    await using api = await startApi();
    await register(api, 'worker-01', 'first');
    const early = await register(api, 'worker-01', 'second'); // before the first heartbeat of the holder
    assert.deepEqual([early.status, early.body.reason], [409, 'NameTaken']);
    await api.beat('worker-01', REPORT);
    await api.clock.advance(30_000);
    const refused = await register(api, 'worker-01', 'second');
    assert.equal(refused.status, 409);
    for (const words of ['identity-first', 'identity-second', 'NODE_NAME', 'caractrl node reset-identity worker-01', '1m30s']) {
      assert.ok(refused.body.detail.includes(words), `${words} in: ${refused.body.detail}`);
    }
    assert.equal(refused.headers['retry-after'], '60');
    await api.clock.advance(61_000);
    assert.equal((await register(api, 'worker-01', 'second')).status, 200);
    assert.equal((await register(api, 'worker-01', 'first')).status, 409);
  });

  test('deleting the node lets any machine take the name at once', async () => {
    await using api = await startApi();
    await register(api, 'worker-01', 'first');
    await api.beat('worker-01', REPORT);
    await api.call('DELETE', '/nodes/worker-01');
    await api.apply('Node', 'worker-01');
    await api.beat('worker-01', REPORT); // alive, but the record made anew is held by nobody
    assert.equal((await register(api, 'worker-01', 'second')).status, 200);
  });

  test('refuses names and bodies that are not legal', async () => {
    await using api = await startApi();
    assert.equal((await register(api, 'Worker')).status, 400);
    assert.equal((await register(api, 'a'.repeat(254))).status, 400);
    const refused = await api.call('POST', '/nodes/worker-01/register', { body: { identity: { id: 'x' }, hostname: 7 } });
    assert.deepEqual(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted(), ['/hostname', '/identity/id']);
    assert.equal((await api.call('POST', '/nodes/worker-01/register')).status, 200); // all of it is optional
  });
});
