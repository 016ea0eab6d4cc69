/** The guide: draining a node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trueConditions } from './api-view.ts';
import { DRAIN_YAML, NODE_YAML, sentencesOf } from './promises.ts';
import { assertUntouched, findContainer, projectManifest, startWorld } from './world.ts';

const sentence = sentencesOf('guide-draining');
const world = await startWorld();
world.write('worker-01.yaml', NODE_YAML);
world.write('worker-01-drain.yaml', DRAIN_YAML);
await world.type('caractrl apply -f worker-01.yaml');
await world.startAgent('worker-01');
await world.untilState('worker-01', 'Ready');
await world.runProject('draining-1');
const container = await findContainer(world, 'draining-1');

test(sentence('To drain a node, set spec.unschedulable: true in its manifest and apply it:'), async () => {
  world.write('worker-01.yaml', NODE_YAML.replace('unschedulable: false', 'unschedulable: true'));
  assert.equal(await world.type('caractrl apply -f worker-01.yaml'), 'node/worker-01 configured\n');
  await world.untilState('worker-01', 'Draining');
});

test(sentence('To make the node schedulable again, set spec.unschedulable: false and re-apply the manifest.'), async () => {
  assert.match(await world.refusal('draining-2'), /1 is Draining/u);
  world.write('worker-01.yaml', NODE_YAML);
  assert.equal(await world.type('caractrl apply -f worker-01.yaml'), 'node/worker-01 configured\n');
  await world.untilState('worker-01', 'Ready');
  await world.untilPhase('draining-2', 'Running'); // it was waiting
});

test(sentence(DRAIN_YAML), async () => {
  const before = await world.node('worker-01');
  await world.type('caractrl apply -f worker-01-drain.yaml');
  const after = await world.node('worker-01');
  assert.deepEqual(after.spec, { ...before.spec, unschedulable: true }); // what it leaves out stays
  assert.deepEqual(after.metadata.labels, { 'caravanserai.io/zone': 'ed312', 'caravanserai.io/region': 'north' });
});

test(sentence('caractrl apply -f worker-01-drain.yaml'), async () => {
  await world.type('caractrl apply -f worker-01.yaml');
  assert.equal(await world.type('caractrl apply -f worker-01-drain.yaml'), 'node/worker-01 configured\n');
  assert.equal(await world.type('caractrl apply -f worker-01-drain.yaml'), 'node/worker-01 unchanged\n');
});

test(sentence('The controller manager detects the change and transitions the node state to Draining.'), async () => {
  await world.type('caractrl apply -f worker-01.yaml');
  await world.untilState('worker-01', 'Ready');
  await world.type('caractrl apply -f worker-01-drain.yaml');
  const node = await world.untilState('worker-01', 'Draining');
  assert.deepEqual(trueConditions(node), ['Unschedulable']);
  assert.match(await world.type('caractrl get nodes worker-01'), /^worker-01 +Draining +Unschedulable +/mu);
});

test(
  sentence('Draining prevents new projects from being scheduled onto a node while allowing existing projects to keep running.'),
  async () => {
    await world.type('caractrl apply -f worker-01-drain.yaml');
    assert.match(await world.refusal('draining-3'), /^0\/1 nodes are available: 1 is Draining$/u);
    assert.equal((await world.project('draining-1')).status.phase, 'Running');
    await assertUntouched(world, 'draining-1', container);
  },
);

test(sentence('The scheduler stops assigning new projects to the node immediately.'), async () => {
  const setUnschedulable = async (unschedulable: boolean): Promise<void> => {
    const manifest = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-01' }, spec: { unschedulable } };
    assert.equal((await world.call('PUT', 'nodes/worker-01', manifest)).status, 200);
  };
  for (let round = 0; round < 20; round += 1) {
    const name = `draining-now-${round}`;
    await setUnschedulable(false);
    await setUnschedulable(true); // as soon as this is answered, nothing more lands
    assert.equal((await world.call('POST', 'projects', projectManifest(name))).status, 201);
    const { status } = await world.untilProject(name, 'to be judged', (project) => project.status.conditions.length > 0);
    assert.deepEqual([status.phase, status.nodeRef, status.assignment], ['Pending', undefined, 0], name);
    assert.equal((await world.call('DELETE', `projects/${name}`)).status, 204);
  }
});

test(
  sentence('Projects already running on the node are unaffected — they continue running until you delete them or they expire.'),
  async () => {
    await world.type('caractrl apply -f worker-01-drain.yaml');
    assert.equal((await world.project('draining-2')).status.phase, 'Running');
    await assertUntouched(world, 'draining-1', container);
    await world.type('caractrl delete project draining-2');
    assert.equal(await findContainer(world, 'draining-2'), undefined);
    await assertUntouched(world, 'draining-1', container);

    await world.applyProject('draining-1', { ttl: '1s' }); // counted from its creation: its time is up
    await world.untilGone('projects/draining-1');
    assert.equal(await findContainer(world, 'draining-1'), undefined);
  },
);
