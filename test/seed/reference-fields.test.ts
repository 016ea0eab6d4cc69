/** The reference: its introduction, the fields that people write, and marking a node unschedulable. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import type { EventObject } from '../../src/api/event.ts';
import { toNodeName } from '../../src/api/names.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { NODE_YAML, sentencesOf } from './promises.ts';
import { assertUntouched, findContainer, startWorld } from './world.ts';

const sentence = sentencesOf('reference-fields');
const world = await startWorld();
await world.startAgent('worker-01');
await world.untilState('worker-01', 'Ready');
world.write('node.yaml', NODE_YAML);
world.write('cordoned.yaml', NODE_YAML.replace('unschedulable: false', 'unschedulable: true'));

/** What `caractrl apply` answers to the manifest of the documents with one thing in it changed. */
async function refusalOf(from: string, to: string): Promise<string> {
  const { code, stderr } = await world.tryTyping('caractrl apply -f -', NODE_YAML.replace(from, to));
  assert.equal(code, 1, stderr);
  return stderr;
}

test(
  sentence('cara-agent self-registers its Node with the control plane on startup using the NODE_NAME environment variable.'),
  async () => {
    await world.startAgent('edge-02', { typed: 'SERVER_URL=http://cara-server:8080 NODE_NAME=edge-02 ./bin/cara-agent' });
    await world.untilState('edge-02', 'Ready');
  },
);

test(
  sentence(
    'You only need to write a Node manifest manually when you want to pre-register a node before the agent starts, or to update node configuration such as labels or schedulability.',
  ),
  async () => {
    assert.deepEqual((await world.node('edge-02')).metadata.labels, {}); // it was never written
    await world.type('caractrl apply -f -', NODE_YAML.replace('worker-01\n', 'edge-03\n').replace('false', 'true'));
    await world.startAgent('edge-03');
    const early = await world.untilState('edge-03', 'Draining');
    assert.equal(early.metadata.labels['caravanserai.io/region'], 'north');
    await world.type('caractrl apply -f -', NODE_YAML.replace('worker-01\n', 'edge-03\n').replace('ed312', 'ed313'));
    assert.equal((await world.untilState('edge-03', 'Ready')).metadata.labels['caravanserai.io/zone'], 'ed313');
  },
);

test(
  sentence('Caravanserai uses Nodes as scheduling targets: the Scheduler assigns Projects only to Nodes in the Ready state.'),
  async () => {
    await world.type('caractrl apply -f -', NODE_YAML.replace('worker-01\n', 'absent\n'));
    await world.type('caractrl cordon edge-02 edge-03 worker-01');
    assert.match(await world.refusal('fields-1'), /^0\/4 nodes are available: (?=.*3 are Draining)(?=.*1 is NotReady)/u);
    await world.type('caractrl uncordon worker-01');
    assert.equal((await world.untilPhase('fields-1', 'Running')).status.nodeRef, 'worker-01');
  },
);

test(sentence('Must be caravanserai/v1.'), async () => {
  assert.match(await refusalOf('caravanserai/v1', 'caravanserai/v2'), /apiVersion.*caravanserai\/v1/u);
  assert.equal((await world.node('worker-01')).apiVersion, 'caravanserai/v1');
});

test(sentence('Must be Node.'), async () => {
  assert.match(await refusalOf('kind: Node', 'kind: Nod'), /kind.*Node/u);
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'x' } };
  assert.equal((await world.call('POST', 'nodes', manifest)).status, 400);
});

test(sentence('Identity metadata for the resource.'), async () => {
  assert.match(await refusalOf('  name: worker-01\n', ''), /name/u);
  const { metadata } = await world.node('worker-01');
  assert.match(metadata.uid, /^[0-9a-f-]{36}$/u);
  assert.ok(Number(metadata.resourceVersion) > 0 && metadata.generation > 0 && Date.parse(metadata.createdAt) > 0);
});

test(sentence('Unique identifier for the Node within the cluster.'), async () => {
  const before = await world.node('worker-01');
  const again = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-01' } };
  assert.equal((await world.call('POST', 'nodes', again)).status, 409);
  await world.type('caractrl apply -f node.yaml'); // means the one there is
  assert.equal((await world.node('worker-01')).metadata.uid, before.metadata.uid);
  const { items } = JSON.parse((await world.call('GET', 'nodes')).text) as { items: NodeObject[] };
  assert.equal(items.filter(({ metadata }) => metadata.name === 'worker-01').length, 1);
});

test(sentence('This is the name the agent registers under and the name you use in caractrl commands.'), async () => {
  const logged = world.server.log().filter(({ msg }) => msg === 'node registered');
  assert.ok(logged.some(({ node }) => node === 'worker-01'));
  for (const verb of ['get node', 'describe node', 'cordon', 'uncordon']) {
    await world.type(`caractrl ${verb} worker-01`);
  }
});

test(sentence('Typically matches the machine hostname or a descriptive label such as edge-node-01.'), async () => {
  const config = JSON.parse(await world.type('cara-agent --print-config')) as Record<string, unknown>;
  assert.equal(config['NODE_NAME'], toNodeName(hostname()));
  await world.startAgent('edge-node-01');
  await world.untilState('edge-node-01', 'Ready');
});

test(sentence('Arbitrary key/value pairs for grouping and selection.'), async () => {
  await world.type('caractrl label node edge-02 edge-03 example.org/team=blue any-thing.1=Goes_here');
  assert.equal(await world.type('caractrl get nodes -l example.org/team=blue,any-thing.1 -o name'), 'node/edge-02\nnode/edge-03\n');
});

test(sentence('Common uses include zone or region labels, for example caravanserai.io/zone: ed312.'), async () => {
  await world.type('caractrl apply -f node.yaml');
  assert.match(await world.type('caractrl get nodes -l caravanserai.io/zone=ed312 -o name'), /^node\/worker-01$/mu);
  await world.applyProject('fields-2', { nodeSelector: { 'caravanserai.io/zone': 'ed312' } });
  await world.untilProject('fields-2', 'to be placed', ({ status }) => status.nodeRef === 'worker-01');
});

test(sentence('The OS-level hostname of the machine, for example pve-03 or edge-01.local.'), async () => {
  assert.equal((await world.node('edge-node-01')).spec.hostname, hostname()); // filled in by the agent
  for (const name of ['pve-03', 'edge-01.local']) {
    await world.type('caractrl apply -f -', NODE_YAML.replace('worker-01.local', name));
    assert.equal((await world.node('worker-01')).spec.hostname, name);
  }
});

test(sentence('Used for informational purposes and audit trails.'), async () => {
  const name = (await world.node('edge-node-01')).spec.hostname ?? '';
  assert.ok((await world.type('caractrl get nodes edge-node-01 -o wide')).includes(name));
  const registered = world.server.log().find(({ msg, node }) => msg === 'node registered' && node === 'edge-node-01');
  assert.equal(registered?.['hostname'], name);
  const isOnRecord = async (): Promise<boolean> => {
    const { text } = await world.call('GET', 'events?object=Node/edge-node-01');
    const { items } = JSON.parse(text) as { items: EventObject[] };
    return items.some(({ reason, message }) => reason === 'Registered' && message.includes(name));
  };
  await until(isOnRecord, { what: 'an event that names the host', timeoutMs: 60_000 });
});

test(sentence('When true, prevents the scheduler from assigning new Projects to this Node.'), async () => {
  await world.type('caractrl cordon edge-02 edge-03 edge-node-01');
  await world.type('caractrl apply -f cordoned.yaml');
  assert.match(await world.refusal('fields-3'), /4 are Draining/u);
});

test(sentence('Projects already running on the Node continue to run.'), async () => {
  const container = await findContainer(world, 'fields-1');
  await world.type('caractrl uncordon worker-01');
  await world.type('caractrl apply -f cordoned.yaml');
  await world.untilState('worker-01', 'Draining');
  assert.equal((await world.project('fields-1')).status.phase, 'Running');
  await assertUntouched(world, 'fields-1', container);
});

test(sentence('Set this field to true before draining a node for maintenance.'), async () => {
  await world.type('caractrl apply -f cordoned.yaml');
  await world.type('caractrl delete project fields-1 fields-2 fields-3');
  const { items } = JSON.parse((await world.call('GET', 'projects?nodeRef=worker-01')).text) as { items: unknown[] };
  assert.deepEqual(items, []); // nothing is on it, and nothing comes
  assert.match(await world.refusal('fields-4'), /4 are Draining/u);
  await world.type('caractrl delete project fields-4');
});

test(sentence('Setspec.unschedulable: true to cordon a node.'), async () => {
  await world.type('caractrl uncordon worker-01');
  await world.type('caractrl apply -f cordoned.yaml');
  assert.equal(await world.type('caractrl cordon worker-01'), 'node/worker-01 already cordoned\n');
});

test(sentence('unschedulable: false and reapply.'), async () => {
  await world.type('caractrl apply -f cordoned.yaml');
  assert.equal(await world.type('caractrl apply -f node.yaml'), 'node/worker-01 configured\n');
  await world.untilState('worker-01', 'Ready');
  assert.equal((await world.runProject('fields-5')).status.nodeRef, 'worker-01');
});

test(sentence('The control plane stops scheduling new Projects onto it while existing workloads continue running.'), async () => {
  const container = await findContainer(world, 'fields-5');
  await world.type('caractrl apply -f cordoned.yaml');
  assert.match(await world.refusal('fields-6'), /4 are Draining/u);
  assert.equal((await world.project('fields-5')).status.phase, 'Running');
  await assertUntouched(world, 'fields-5', container);
});
