/** The guide: what a Node is, and how one is added. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { trueConditions } from './api-view.ts';
import { NODE_YAML, sentencesOf, START_AGENT } from './promises.ts';
import { startWorld } from './world.ts';

const sentence = sentencesOf('guide-adding');
const world = await startWorld();

async function names(): Promise<readonly string[]> {
  const { text } = await world.call('GET', 'nodes');
  return (JSON.parse(text) as { items: NodeObject[] }).items.map(({ metadata }) => metadata.name);
}

test(sentence('Start cara-agent on the machine you want to add.'), async () => {
  assert.deepEqual(await names(), []);
  await world.startAgent('added-1');
  await world.untilState('added-1', 'Ready');
  assert.deepEqual(await names(), ['added-1']);
});

test(sentence('You do not need to apply a manifest — registration is automatic.'), async () => {
  await world.startAgent('added-2'); // nobody has typed anything so far
  const { spec, metadata } = await world.untilState('added-2', 'Ready');
  assert.deepEqual([spec, metadata.labels], [{ hostname: hostname(), unschedulable: false }, {}]);
});

test(sentence('A Node represents a physical or virtual machine running cara-agent.'), async () => {
  const { kind, status } = await world.node('added-1');
  assert.equal(kind, 'Node');
  assert.match(status.info?.agentVersion ?? '', /^\d+\.\d+\.\d+$/u);
  assert.notEqual(status.info?.kernelVersion ?? '', '');
  assert.equal(status.info?.architecture, process.arch === 'x64' ? 'amd64' : process.arch);
});

test(
  sentence(
    'If you want to pre-create a node record manually (for example to set labels before the agent connects), apply a Node manifest:',
  ),
  async () => {
    world.write('early.yaml', NODE_YAML.replace('worker-01\n', 'early-01\n'));
    assert.equal(await world.type('caractrl apply -f early.yaml'), 'node/early-01 created\n');
    assert.deepEqual(trueConditions(await world.node('early-01')), ['NoHeartbeat']);
    await world.startAgent('early-01');
    const { metadata, spec } = await world.untilState('early-01', 'Ready');
    assert.deepEqual(metadata.labels, { 'caravanserai.io/zone': 'ed312', 'caravanserai.io/region': 'north' });
    assert.deepEqual(spec, { hostname: 'worker-01.local', unschedulable: false });
  },
);

test(sentence(NODE_YAML), async () => {
  world.write('node.yaml', NODE_YAML);
  await world.type('caractrl apply -f node.yaml');
  const { apiVersion, kind, metadata, spec } = await world.node('worker-01');
  assert.deepEqual(
    { apiVersion, kind, metadata: { name: metadata.name, labels: metadata.labels }, spec },
    {
      apiVersion: 'caravanserai/v1',
      kind: 'Node',
      metadata: { name: 'worker-01', labels: { 'caravanserai.io/zone': 'ed312', 'caravanserai.io/region': 'north' } },
      spec: { hostname: 'worker-01.local', unschedulable: false },
    },
  );
});

test(sentence('caractrl apply -f node.yaml'), async () => {
  await world.type('caractrl delete node worker-01');
  assert.equal(await world.type('caractrl apply -f node.yaml'), 'node/worker-01 created\n');
  assert.equal(await world.type('caractrl apply -f node.yaml'), 'node/worker-01 unchanged\n');
  assert.equal((await world.node('worker-01')).status.state, 'NotReady');
});

test(sentence(START_AGENT), async () => {
  const agent = await world.startAgent('worker-01', { typed: START_AGENT });
  const { metadata } = await world.untilState('worker-01', 'Ready');
  assert.equal(metadata.labels['caravanserai.io/zone'], 'ed312');
  assert.equal(await agent.stop(), 0);
});

test(sentence('Set SERVER_URL to point at your control plane and NODE_NAME to the name the node should register under:'), async () => {
  const printed = await world.type('SERVER_URL=http://cara-server:8080 NODE_NAME=worker-09 ./bin/cara-agent --print-config');
  const config = JSON.parse(printed) as Record<string, unknown>;
  assert.deepEqual([config['SERVER_URL'], config['NODE_NAME']], ['http://cara-server:8080', 'worker-09']);
  await world.startAgent('added-3');
  await world.untilState('added-3', 'Ready');
});

test(
  sentence('The agent registers itself with the control plane on startup, then begins sending heartbeats and polling for work.'),
  async () => {
    const registrations = (): number =>
      world.server.log().filter(({ msg, node }) => msg === 'node registered' && node === 'worker-01').length;
    const earlier = registrations();
    await world.startAgent('worker-01');
    await until(() => registrations() === earlier + 1, { what: 'the agent to register', timeoutMs: 60_000 });
    const { status } = await world.untilState('worker-01', 'Ready');
    await world.untilNode('worker-01', 'to beat on', (node) => node.status.lastHeartbeat !== status.lastHeartbeat);
    await world.type('caractrl label node worker-01 polls=yes');
    await world.runProject('adding-work', { nodeSelector: { polls: 'yes' } });
  },
);

test(
  sentence(
    'Nodes self-register with the control plane on startup and send periodic heartbeats so the controller manager can track their health.',
  ),
  async () => {
    const agent = await world.startAgent('tracked');
    const healthy = await world.untilState('tracked', 'Ready');
    assert.deepEqual(trueConditions(healthy), []);
    await agent.kill();
    const lost = await world.untilState('tracked', 'NotReady');
    assert.deepEqual(trueConditions(lost), ['NoHeartbeat']);
  },
);

test(sentence('The scheduler only assigns new projects to nodes whose state is Ready.'), async () => {
  await world.type('caractrl cordon added-1 added-2 added-3 worker-01 early-01'); // tracked is NotReady
  assert.match(await world.refusal('adding-new'), /^0\/6 nodes are available: (?=.*5 are Draining)(?=.*1 is NotReady)/u);
  await world.type('caractrl uncordon added-3');
  const { status } = await world.untilProject('adding-new', 'to be placed', (project) => project.status.nodeRef !== undefined);
  assert.equal(status.nodeRef, 'added-3');
});
