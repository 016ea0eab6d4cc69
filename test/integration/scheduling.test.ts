/** A Project's life over the real service, scheduler and controller, on every store. Nodes and agents are played by the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import { hasReason } from '../../src/api/errors.ts';
import { NODE_TIMEOUT_MS, manifestOf, startControlLoops } from '../support/worlds/control-loops.ts';
import { BACKENDS } from '../support/stores/store-backends.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

for (const { name, create } of BACKENDS) {
  test(`a Project goes from apply to Running, through an update and the loss of its node, to its end (${name})`, async () => {
    await using backend = await create();
    const clock = new VirtualClock();
    const store = await backend.open({ clock });
    {
      await using world = startControlLoops({ clock, store });
      const { service } = world;

      const spec = { onNodeLost: { action: 'Reschedule' } } as const; // said, not the default: a deleted node's Project moves only then
      await service.apply(manifestOf('shop', { requests: { memory: '1Gi' }, spec }));
      await world.settleUntil(async () => (await world.project('shop'))?.status.reason === 'Unschedulable');
      await world.setNode('n1');
      const { uid } = (await world.until('shop', 'Scheduled')).metadata;
      await service.reportStatus('shop', { phase: 'Scheduled', uid, assignment: 1, observedGeneration: 1, message: 'pulling shop/web:3' });
      await service.reportStatus('shop', { phase: 'Running', uid, assignment: 1, observedGeneration: 1 });
      await world.until('shop', 'Running');

      const updated = await service.apply(manifestOf('shop', { requests: { memory: '2Gi' }, spec }));
      assert.equal(updated.object.status.reason, 'Updating');
      await service.reportStatus('shop', { phase: 'Running', uid, assignment: 1, observedGeneration: 1 });
      assert.equal((await world.project('shop'))?.status.phase, 'Scheduled');
      await service.reportStatus('shop', { phase: 'Running', uid, assignment: 1, observedGeneration: 2 });
      await world.until('shop', 'Running');

      await world.setNode('n2');
      await world.deleteNode('n1');
      await clock.advance(NODE_TIMEOUT_MS);
      assert.equal((await world.until('shop', 'Failed')).status.reason, 'NodeLost');
      await clock.advance(180_000);
      const { status } = await world.until('shop', 'Scheduled');
      assert.deepEqual([status.nodeRef, status.assignment], ['n2', 2]);
      const stale = service.reportStatus('shop', { phase: 'Running', uid, assignment: 1 });
      await assert.rejects(stale, (error) => hasReason(error, 'StaleAssignment'));
      await service.reportStatus('shop', { phase: 'Running', uid, assignment: 2, observedGeneration: 2 });
      const running = await world.until('shop', 'Running');
      assert.equal(findCondition(running.status.conditions, 'Ready')?.status, 'True');

      assert.equal((await service.delete('shop', { force: false })).isGone, false);
      await service.reportStatus('shop', { phase: 'Terminated', uid, assignment: 2 });
      await world.until('shop', 'gone');
    }
    await store.close();
  });

  test(`nodes that come, fill and go never hold more than they have (${name})`, async () => {
    await using backend = await create();
    const clock = new VirtualClock();
    const store = await backend.open({ clock });
    {
      await using world = startControlLoops({ clock, store });
      const held = (): ReadonlyMap<string | undefined, number> => {
        const count = new Map<string | undefined, number>();
        for (const { status } of world.projects.items().values()) {
          count.set(status.nodeRef, (count.get(status.nodeRef) ?? 0) + 1);
        }
        return count;
      };
      const mostHeld = (): number => Math.max(0, ...[...held()].map(([node, count]) => (node === undefined ? 0 : count)));
      const waiting = (): number => held().get(undefined) ?? 0;
      await Promise.all(
        Array.from({ length: 60 }, (_, index) => world.service.create(manifestOf(`p${index}`, { requests: { cpu: '500m' } }))),
      );
      for (const [index, left] of [52, 44, 36].entries()) {
        await world.setNode(`n${index}`);
        await world.settleUntil(() => waiting() === left);
        assert.equal(mostHeld(), 8);
      }
      await world.setNode('n0', { unschedulable: true });
      const onDrained = [...world.projects.items().values()].filter(({ status }) => status.nodeRef === 'n0');
      for (const { metadata } of onDrained) {
        await world.service.delete(metadata.name, { force: true });
      }
      await world.settleUntil(() => held().get('n0') === undefined);
      await clock.advance(1000);
      assert.equal(waiting(), 36, 'nothing lands on a node that drains');
      await world.setNode('n0');
      await world.settleUntil(() => waiting() === 28);
      assert.equal(mostHeld(), 8);
    }
    await store.close();
  });
}
