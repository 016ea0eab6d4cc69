import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intercepted, manifestOf, startControlLoops } from '../../../test/support/worlds/control-loops.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { findCondition } from '../../api/condition.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import type { Write } from '../../store/store.ts';

test('the scheduler binds a Pending Project to the best node, as assignment 1', async () => {
  await using world = startControlLoops();
  await world.setNode('small', { allocatable: { cpu: '1', memory: '1Gi' } });
  await world.setNode('large');
  await world.service.create(manifestOf('shop', { requests: { cpu: '500m' } }));
  const { status } = await world.until('shop', 'Scheduled');
  assert.equal(status.nodeRef, 'large');
  assert.equal(status.assignment, 1);
  assert.equal(findCondition(status.conditions, 'Scheduled')?.status, 'True');
});

test('the scheduler says why no node takes a Project, once, and places it as soon as one does', async () => {
  await using world = startControlLoops();
  await world.service.create(manifestOf('shop', { requests: { memory: '1Gi' } }));
  const messageOf = async (): Promise<string | undefined> =>
    findCondition((await world.project('shop'))?.status.conditions ?? [], 'Scheduled')?.message;
  await world.settleUntil(async () => (await messageOf()) === 'no nodes are registered: start cara-agent on a machine');
  await world.setNode('n1', { allocatable: { memory: '512Mi' } });
  await world.settleUntil(async () => (await messageOf()) === '0/1 nodes are available: 1 lacks memory (1Gi asked, 512Mi free at most)');
  const before = await world.project('shop');
  await world.setNode('n1', { allocatable: { memory: '512Mi' }, labels: { zone: 'north' } });
  await world.clock.advance(5_000);
  assert.equal((await world.project('shop'))?.metadata.resourceVersion, before?.metadata.resourceVersion, 'no news, no write');
  await world.setNode('n1', { allocatable: { memory: '2Gi' } });
  const { status } = await world.until('shop', 'Scheduled');
  assert.equal(status.message, undefined);
  assert.equal(findCondition(status.conditions, 'Scheduled')?.reason, 'Bound');
});

test('the scheduler never gives one host port of a node to two Projects of the same round', async () => {
  await using world = startControlLoops();
  await world.setNode('n1');
  await Promise.all(['a', 'b', 'c'].map((name) => world.service.create(manifestOf(name, { hostPorts: [80] }))));
  await world.until('a', 'Scheduled');
  for (const name of ['b', 'c']) {
    await world.settleUntil(async () => (await world.project(name))?.status.message?.includes('taken by a') === true);
  }
  await world.service.delete('a', { force: true });
  await world.until('b', 'Scheduled');
  await world.clock.advance(1000);
  assert.equal((await world.project('c'))?.status.phase, 'Pending');
});

test('the scheduler places the oldest first', async () => {
  await using world = startControlLoops();
  await world.service.create(manifestOf('young-name-a', { requests: { cpu: '3' } }));
  await world.clock.advance(1000);
  await world.service.create(manifestOf('a', { requests: { cpu: '3' } }));
  await world.clock.advance(1000);
  await world.setNode('n1');
  await world.until('young-name-a', 'Scheduled');
  assert.equal((await world.project('a'))?.status.phase, 'Pending');
});

function isBinding(writes: readonly Write[], name?: string): boolean {
  return writes.some(
    (write) =>
      write.op === 'update' &&
      write.object.kind === 'Project' &&
      (name === undefined || write.object.metadata.name === name) &&
      (write.object as unknown as ProjectObject).status.phase === 'Scheduled',
  );
}

test('the scheduler does not bind to a node that is cordoned between its decision and its commit', async () => {
  const clock = new VirtualClock();
  let isCordoned = false;
  const store = intercepted(clock, async (writes, inner) => {
    if (isBinding(writes) && !isCordoned) {
      isCordoned = true;
      const node = await inner.get('Node', 'n1');
      await inner.commit([{ op: 'update', object: { ...node, spec: { unschedulable: true } } as never }]);
    }
  });
  await using world = startControlLoops({ clock, store });
  await world.setNode('n1');
  await world.service.create(manifestOf('shop'));
  await world.settleUntil(async () => (await world.project('shop'))?.status.message === '0/1 nodes are available: 1 is Draining');
  assert.equal((await world.project('shop'))?.status.nodeRef, undefined);
  await world.setNode('n2');
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('the scheduler goes on with the others when one Project cannot be written, and gets to it later', async () => {
  const clock = new VirtualClock();
  let isBroken = true;
  const store = intercepted(clock, async (writes) => {
    if (isBinding(writes, 'bad') && isBroken) {
      throw new ApiError('Unavailable', 'Cannot write as the disk is full');
    }
  });
  await using world = startControlLoops({ clock, store });
  await world.setNode('n1');
  await world.service.create(manifestOf('bad', { requests: { cpu: '1' } }));
  await world.service.create(manifestOf('good', { requests: { cpu: '3' } }));
  await world.until('good', 'Scheduled');
  isBroken = false;
  await clock.advance(1000);
  await world.until('bad', 'Scheduled');
});

test('the scheduler says why no node takes a Project also when the first try at writing it fails', async () => {
  const clock = new VirtualClock();
  let failures = 0;
  const store = intercepted(clock, async (writes) => {
    if (writes[0]?.op === 'update' && failures === 0) {
      failures += 1;
      throw new ApiError('Unavailable', 'Cannot write as the disk is full');
    }
  });
  await using world = startControlLoops({ clock, store });
  await world.service.create(manifestOf('shop'));
  await world.settleUntil(() => failures === 1);
  await clock.advance(1000);
  await world.settleUntil(async () => (await world.project('shop'))?.status.reason === 'Unschedulable');
});

test('the scheduler places many Projects without overfilling any node', async () => {
  await using world = startControlLoops();
  for (let index = 0; index < 10; index += 1) {
    await world.setNode(`n${index}`);
  }
  const names = Array.from({ length: 500 }, (_, index) => `p${index}`);
  await Promise.all(names.map((name) => world.service.create(manifestOf(name, { requests: { cpu: '100m' } }))));
  const count = (phase: string): number =>
    world.projects
      .items()
      .values()
      .filter(({ status }) => status.phase === phase)
      .toArray().length;
  await world.settleUntil(() => count('Scheduled') === 400 && world.projects.get('p499')?.status.reason === 'Unschedulable');
  const perNode = Map.groupBy(world.projects.items().values(), ({ status }) => status.nodeRef);
  assert.equal(perNode.get(undefined)?.length, 100);
  perNode.delete(undefined);
  assert.deepEqual(
    [...perNode.values()].map(({ length }) => length),
    Array.from({ length: 10 }, () => 40),
  );
});

test('the scheduler starts from nothing and finds what is bound and what waits', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  {
    await using world = startControlLoops({ clock, store });
    await world.setNode('n1');
    await world.service.create(manifestOf('a', { hostPorts: [80] }));
    await world.until('a', 'Scheduled');
  }
  await using world = startControlLoops({ clock, store });
  await world.service.create(manifestOf('b', { hostPorts: [80] }));
  await world.settleUntil(async () => (await world.project('b'))?.status.message?.includes('taken by a') === true);
});
