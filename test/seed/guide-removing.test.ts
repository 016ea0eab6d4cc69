/** The guide: removing a node. The tests tell one story, in its order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import { sentencesOf } from './promises.ts';
import { assertUntouched, findContainer, startWorld, TIMEOUT_MS } from './world.ts';

const sentence = sentencesOf('guide-removing');
const world = await startWorld();
const agent = await world.startAgent('worker-01');
await world.untilState('worker-01', 'Ready');
await world.runProject('removing-1');
await world.runProject('removing-3', { onNodeLost: { after: '1s' } }); // where nodes are lost, it need not wait for minutes to move
const container = await findContainer(world, 'removing-1');
await world.startAgent('worker-02'); // has room for what would move
await world.untilState('worker-02', 'Ready');
let deletedMs = 0;

test(sentence('caractrl delete node worker-01'), async () => {
  deletedMs = Date.now();
  const { code, stdout, stderr } = await world.tryTyping('caractrl delete node worker-01');
  assert.deepEqual([code, stdout], [0, 'node/worker-01 deleted\n']);
  assert.match(stderr, /removing-1 \(Running\)[\s\S]*Failed/u); // what is still on it, and what becomes of it
});

test(sentence('Delete a node record from the control plane:'), async () => {
  assert.equal((await world.call('GET', 'nodes/worker-01')).status, 404);
  assert.equal((await world.tryTyping('caractrl delete node worker-01')).code, 1);
});

test(sentence('After deletion, the node no longer appears in caractrl get nodes.'), async () => {
  const table = await world.type('caractrl get nodes');
  assert.doesNotMatch(table, /worker-01/u);
  assert.match(table, /^worker-02 /mu);
});

test(
  sentence(
    'If the node has projects in Running phase, those projects lose their agent and will transition to Failed once heartbeats stop.',
  ),
  async () => {
    await agent.logged('node record was deleted: keeps supervising; restart cara-agent to register again');
    const { status } = await world.untilPhase('removing-1', 'Failed');
    assert.ok(Date.now() - deletedMs >= TIMEOUT_MS, 'heartbeats count as stopped after the timeout');
    assert.equal(findCondition(status.conditions, 'Ready')?.reason, 'NodeLost');
  },
);

test(sentence('Deleting a node does not automatically stop or migrate the projects running on it.'), async () => {
  await world.untilPhase('removing-3', 'Failed');
  for (const name of ['removing-1', 'removing-3']) {
    await world.untilProject(name, 'to stay where it is', ({ status }) => {
      assert.deepEqual([status.nodeRef, status.assignment], ['worker-01', 1], name);
      return Date.now() - deletedMs > TIMEOUT_MS + 2000; // a second after removing-3 would have moved
    });
  }
  assert.equal((await findContainer(world, 'removing-3'))?.State.Running, true);
  await assertUntouched(world, 'removing-1', container);
  assert.deepEqual(await world.contentsOf('worker-02'), []);
});

test(
  sentence('If cara-agent is still running on the machine, it will attempt to re-register with the control plane on its next startup.'),
  async () => {
    const health = (await (await fetch(`${agent.url}/healthz`)).json()) as { standing: string };
    assert.equal(health.standing, 'deleted'); // running, and not coming back by itself, for longer than the timeout by now
    assert.equal((await world.call('GET', 'nodes/worker-01')).status, 404);
    assert.equal(await agent.stop(), 0);
    await world.startAgent('worker-01');
    await world.untilState('worker-01', 'Ready');
    await world.untilPhase('removing-1', 'Running');
    await assertUntouched(world, 'removing-1', container);
  },
);

test(sentence('Delete or migrate all running projects before removing a node from the cluster.'), async () => {
  await world.type('caractrl cordon worker-02');
  await world.runProject('removing-2');
  await world.type('caractrl uncordon worker-02');
  await world.type('caractrl delete project removing-1 removing-3');
  assert.equal(await findContainer(world, 'removing-1'), undefined);
  await world.type('caractrl drain worker-01 --yes');
  assert.equal(await findContainer(world, 'removing-2'), undefined);
  const moved = await world.untilPhase('removing-2', 'Running');
  assert.deepEqual([moved.status.nodeRef, await world.contentsOf('worker-02')], ['worker-02', ['cara_removing-2_a']]);

  const { stdout, stderr } = await world.tryTyping('caractrl delete node worker-01');
  assert.deepEqual([stdout, stderr], ['node/worker-01 deleted\n', '']); // nothing to warn of
  assert.doesNotMatch(await world.type('caractrl get nodes'), /worker-01/u);
});
