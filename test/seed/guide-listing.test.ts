/** The guide: listing nodes. The example's three machines are there, as old as in the example. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { trueConditions } from './api-view.ts';
import { DRAIN_YAML, sentencesOf } from './promises.ts';
import { assertUntouched, findContainer, startWorld } from './world.ts';

const sentence = sentencesOf('guide-listing');
const world = await startWorld();

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const AGES_MS = { 'worker-01': 2 * HOUR_MS, 'worker-02': 5 * MINUTE_MS, 'worker-03': 10 * MINUTE_MS };

await Promise.all(['worker-01', 'worker-03'].map(async (name) => await world.startAgent(name)));
const second = await world.startAgent('worker-02');
await Promise.all(['worker-01', 'worker-02', 'worker-03'].map(async (name) => await world.untilState(name, 'Ready')));
await second.kill();
await world.type('caractrl apply -f -', DRAIN_YAML.replace('worker-01', 'worker-03'));
await world.untilState('worker-02', 'NotReady');
await world.restartServer(() => makeOlder());

/** Nobody waits for two hours: the records get other dates of birth while no server has them open. */
function makeOlder(): void {
  using database = new DatabaseSync(world.databaseFile);
  const update = database.prepare(
    `UPDATE objects SET document = json_set(document, '$.metadata.createdAt', ?) WHERE kind = 'Node' AND name = ?`,
  );
  for (const [name, ageMs] of Object.entries(AGES_MS)) {
    assert.equal(update.run(new Date(Date.now() - ageMs - 1000).toISOString(), name).changes, 1);
  }
}

/** The table as words, a row each. */
async function table(): Promise<readonly string[]> {
  const lines = (await world.type('caractrl get nodes')).trimEnd().split('\n');
  return lines.map((line) => line.split(/ +/u).join(' '));
}

test(sentence('List all nodes in the cluster:'), async () => {
  assert.deepEqual(
    (await table()).slice(1).map((line) => line.split(' ')[0]),
    ['worker-01', 'worker-02', 'worker-03'],
  );
});

test(sentence('caractrl get nodes'), async () => {
  const { code, stdout, stderr } = await world.tryTyping('caractrl get nodes');
  assert.deepEqual([code, stderr, stdout.trimEnd().split('\n').length], [0, '', 4]);
});

test(sentence('NAME        STATE     CONDITIONS   AGE'), async () => {
  assert.equal((await table())[0], 'NAME STATE CONDITIONS AGE');
});

test(sentence('worker-01   Ready     Healthy      2h'), async () => {
  assert.ok((await table()).includes('worker-01 Ready Healthy 2h'), (await table()).join('\n'));
});

test(sentence('worker-02   NotReady  NoHeartbeat  5m'), async () => {
  assert.ok((await table()).includes('worker-02 NotReady NoHeartbeat 5m'), (await table()).join('\n'));
});

test(sentence('worker-03   Draining  Unschedulable 10m'), async () => {
  assert.ok((await table()).includes('worker-03 Draining Unschedulable 10m'), (await table()).join('\n'));
});

test(sentence('The STATE column reflects the high-level health summary computed by the controller manager.'), async () => {
  const rows = (await table()).slice(1).map((line) => line.split(' ').slice(0, 2));
  for (const [name = '', state] of rows) {
    assert.equal((await world.node(name)).status.state, state);
  }
  const forged = await world.call('POST', 'nodes/worker-01/heartbeat', { state: 'NotReady' }); // it is the control plane that computes it
  assert.equal(forged.status, 204);
  assert.ok((await table()).includes('worker-01 Ready Healthy 2h'));
});

test(sentence('Ready — The agent is heartbeating and the node accepts new project assignments.'), async () => {
  const before = await world.untilState('worker-01', 'Ready');
  await world.untilNode('worker-01', 'to beat on', ({ status }) => status.lastHeartbeat !== before.status.lastHeartbeat);
  const { status } = await world.runProject('listing-1');
  assert.equal(status.nodeRef, 'worker-01');
});

test(
  sentence('Draining — spec.unschedulable is true. Existing projects continue running, but no new projects are scheduled here.'),
  async () => {
    const container = await findContainer(world, 'listing-1');
    await world.type('caractrl apply -f -', DRAIN_YAML);
    const { spec } = await world.untilState('worker-01', 'Draining');
    assert.equal(spec.unschedulable, true);
    assert.match(await world.refusal('listing-2'), /2 are Draining/u);
    assert.equal((await world.project('listing-1')).status.phase, 'Running');
    await assertUntouched(world, 'listing-1', container);
  },
);

test(sentence('NotReady — Heartbeats have stopped or a critical condition is present. The scheduler skips this node.'), async () => {
  await world.startAgent('worker-04', { engineHost: 'unix:///nonexistent/docker.sock' });
  const isCritical = await world.untilNode('worker-04', 'to have no engine', (node) => trueConditions(node).includes('RuntimeUnavailable'));
  assert.deepEqual([isCritical.status.state, trueConditions(isCritical)], ['NotReady', ['RuntimeUnavailable']]);
  const silent = await world.node('worker-02');
  assert.deepEqual([silent.status.state, trueConditions(silent)], ['NotReady', ['NoHeartbeat']]);
  assert.match(await world.refusal('listing-3'), /2 are NotReady/u);
});
