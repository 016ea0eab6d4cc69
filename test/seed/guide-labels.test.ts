/** The guide: node labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_YAML, sentencesOf } from './promises.ts';
import { startWorld } from './world.ts';

const sentence = sentencesOf('guide-labels');
const world = await startWorld();
await world.startAgent('worker-01');
await world.startAgent('worker-02');
await world.untilState('worker-01', 'Ready');
await world.untilState('worker-02', 'Ready');
const hostname = (await world.node('worker-01')).spec.hostname;

test(sentence(NODE_YAML), async () => {
  assert.ok(hostname !== undefined && hostname !== 'worker-01.local');
  world.write('worker-01.yaml', NODE_YAML);
  await world.type('caractrl apply -f worker-01.yaml');
  const { metadata, spec } = await world.node('worker-01');
  assert.deepEqual(metadata.labels, { 'caravanserai.io/zone': 'ed312', 'caravanserai.io/region': 'north' });
  assert.deepEqual(spec, { hostname: 'worker-01.local', unschedulable: false });
});

test(sentence('caractrl apply -f worker-01.yaml'), async () => {
  assert.equal(await world.type('caractrl apply -f worker-01.yaml'), 'node/worker-01 unchanged\n');
  world.write('worker-01.yaml', NODE_YAML.replace('ed312', 'ed313'));
  assert.equal(await world.type('caractrl apply -f worker-01.yaml'), 'node/worker-01 configured\n');
});

test(sentence('Apply the updated manifest to patch the node’s labels:'), async () => {
  await world.type('caractrl label node worker-01 rack=r7');
  world.write('worker-01.yaml', NODE_YAML.replace('ed312', 'ed314').replace('    caravanserai.io/region: north\n', ''));
  await world.type('caractrl apply -f worker-01.yaml');
  const patched = { 'caravanserai.io/zone': 'ed314', 'caravanserai.io/region': 'north', rack: 'r7' };
  assert.deepEqual((await world.node('worker-01')).metadata.labels, patched);
  await world.untilNode('worker-01', 'to be Ready all the while', ({ status }) => status.state === 'Ready');
});

test(sentence('Add labels to a node to express zone, region, or hardware characteristics.'), async () => {
  world.write('worker-02.yaml', NODE_YAML.replaceAll('worker-01', 'worker-02').replace('spec:', '    hardware: raspberry-pi-5\nspec:'));
  await world.type('caractrl apply -f worker-02.yaml');
  for (const selector of ['caravanserai.io/zone=ed312', 'caravanserai.io/region=north,hardware', 'hardware in (raspberry-pi-5, nuc)']) {
    const found = await world.type(`caractrl get nodes -l '${selector}' -o name`);
    assert.equal(found, 'node/worker-02\n', selector);
  }
});

test(sentence('You can use labels for documentation and future scheduling constraints.'), async () => {
  assert.match(await world.type('caractrl describe node worker-02'), /hardware.*raspberry-pi-5/u);
  await world.applyProject('labels-1', { nodeSelector: { hardware: 'raspberry-pi-5' } });
  await world.untilProject('labels-1', 'to be placed', ({ status }) => status.nodeRef === 'worker-02');
  assert.match(await world.refusal('labels-2', { nodeSelector: { hardware: 'cray-1' } }), /2 do not match nodeSelector/u);
});
