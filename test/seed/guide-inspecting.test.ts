/** The guide: inspecting a node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_CONDITION_TYPES, NODE_STATES, type NodeObject } from '../../src/api/node.ts';
import { quantityToMillis, quantityToUnits } from '../../src/api/quantity.ts';
import { sentencesOf } from './promises.ts';
import { startWorld } from './world.ts';

const sentence = sentencesOf('guide-inspecting');
const world = await startWorld();
const agent = await world.startAgent('worker-01', { env: { NODE_IP: '100.64.0.5', SYSTEM_RESERVED: 'cpu=300m,memory=64Mi,disk=1Gi' } });
await world.startAgent('worker-02');
await world.untilState('worker-01', 'Ready');
await world.untilState('worker-02', 'Ready');

async function inspect(): Promise<NodeObject> {
  return JSON.parse(await world.type('caractrl --output json get nodes worker-01')) as NodeObject;
}

test(sentence('Get a single node’s table summary:'), async () => {
  const lines = (await world.type('caractrl get nodes worker-01')).trimEnd().split('\n');
  assert.equal(lines.length, 2); // worker-02 is not in it
  assert.match(lines[0] ?? '', /^NAME +STATE +CONDITIONS +AGE$/u);
});

test(sentence('caractrl get nodes worker-01'), async () => {
  assert.match(await world.type('caractrl get nodes worker-01'), /^NAME.*\nworker-01 +Ready +Healthy +\d+[smh]\n$/u);
});

test(
  sentence(
    'For the full status object including network details, capacity, allocatable resources, heartbeat timestamp, and conditions, use JSON output:',
  ),
  async () => {
    const { status } = await inspect();
    for (const field of ['state', 'network', 'capacity', 'allocatable', 'lastHeartbeat', 'conditions']) {
      assert.ok(Object.hasOwn(status, field), field);
    }
  },
);

test(sentence('caractrl --output json get nodes worker-01'), async () => {
  const { kind, metadata } = await inspect();
  assert.deepEqual([kind, metadata.name], ['Node', 'worker-01']);
  assert.deepEqual((JSON.parse(await world.type('caractrl get nodes worker-01 --output json')) as NodeObject).metadata, metadata);
});

test(sentence('status.state — High-level state: Ready, NotReady, or Draining.'), async () => {
  assert.deepEqual(NODE_STATES.toSorted(), ['Draining', 'NotReady', 'Ready']);
  assert.equal((await inspect()).status.state, 'Ready');
  await world.type('caractrl cordon worker-01');
  assert.equal((await inspect()).status.state, 'Draining');
  await world.type('caractrl uncordon worker-01');
  await world.type('caractrl apply -f -', 'apiVersion: caravanserai/v1\nkind: Node\nmetadata: { name: worker-00 }\n');
  assert.equal((await world.node('worker-00')).status.state, 'NotReady');
});

test(sentence('status.network.ip — Overlay network IP assigned to the node.'), async () => {
  assert.equal((await inspect()).status.network?.ip, '100.64.0.5'); // as named; that the agent finds it by itself: see reference-network
});

test(sentence('status.network.agentPort — TCP port the agent’s HTTP server listens on (used by port-forward).'), async () => {
  const port = (await inspect()).status.network?.agentPort;
  assert.equal(String(port), new URL(agent.url).port);
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.equal(((await answer.json()) as { node: string }).node, 'worker-01');
  // Place for port-forward, which comes with a later issue: a forwarded connection goes to this port.
});

test(sentence('status.lastHeartbeat — Timestamp of the most recent heartbeat from the agent.'), async () => {
  const { lastHeartbeat = '' } = (await inspect()).status;
  const beforeMs = Date.now();
  const next = await world.untilNode('worker-01', 'to beat on', ({ status }) => status.lastHeartbeat !== lastHeartbeat);
  const heardMs = Date.parse(next.status.lastHeartbeat ?? '');
  assert.ok(heardMs > Date.parse(lastHeartbeat));
  assert.ok(heardMs <= Date.now() && heardMs >= beforeMs - 1000, `${next.status.lastHeartbeat}`);
});

test(sentence('status.capacity — Raw physical resources reported by the agent.'), async () => {
  const { capacity } = (await inspect()).status;
  assert.deepEqual(Object.keys(capacity ?? {}).toSorted(), ['cpu', 'disk', 'memory']);
  for (const amount of Object.values(capacity ?? {})) {
    assert.ok(quantityToUnits(String(amount)) > 0, String(amount));
  }
});

test(sentence('status.allocatable — Capacity minus system-reserved amounts; used by the scheduler.'), async () => {
  const { capacity, allocatable } = (await inspect()).status;
  const of = (amounts: typeof capacity, name: 'cpu' | 'memory' | 'disk'): string => String(amounts?.[name]);
  assert.equal(quantityToMillis(of(capacity, 'cpu')) - quantityToMillis(of(allocatable, 'cpu')), 300);
  assert.equal(quantityToUnits(of(capacity, 'memory')) - quantityToUnits(of(allocatable, 'memory')), 64 * 2 ** 20);
  assert.equal(quantityToUnits(of(capacity, 'disk')) - quantityToUnits(of(allocatable, 'disk')), 2 ** 30);

  await world.type('caractrl label node worker-01 inspected=yes');
  const asking = (cpu: unknown): object => {
    const service = { name: 'a', image: 'localhost/none:1', resources: { requests: { cpu } } };
    return { services: [service], nodeSelector: { inspected: 'yes' } };
  };
  assert.match(await world.refusal('inspecting-1', asking(capacity?.cpu)), /1 lacks cpu/u);
  await world.applyProject('inspecting-2', asking(allocatable?.cpu));
  await world.untilProject('inspecting-2', 'to be placed', ({ status }) => status.nodeRef === 'worker-01');
});

test(sentence('status.conditions — List of granular observable conditions on the node.'), async () => {
  const { conditions } = (await inspect()).status;
  assert.deepEqual(
    conditions.map(({ type }) => type),
    [...NODE_CONDITION_TYPES],
  );
});
