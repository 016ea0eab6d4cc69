import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ControlLoops,
  NODE_TIMEOUT_MS,
  TERMINATION_TIMEOUT_MS,
  intercepted,
  manifestOf,
  startControlLoops,
} from '../../../test/support/worlds/control-loops.ts';
import { type ProjectOptions, boundOf } from '../../../test/support/objects/resources.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { findCondition } from '../../api/condition.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { createMemoryStore } from '../../store/memory-store.ts';

const MINUTE_MS = 60_000;
const SILENT = { state: 'NotReady', isSilent: true } as const;
const KEEP = { spec: { onNodeLost: { action: 'Keep' } } } as const satisfies ProjectOptions;

/** A Project Running on n1. */
async function runShop(world: ControlLoops, options: ProjectOptions = {}): Promise<void> {
  await world.setNode('n1');
  await world.service.create(manifestOf('shop', options));
  await world.until('shop', 'Scheduled');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 1 });
}

async function reachability(world: ControlLoops): Promise<string | undefined> {
  return findCondition((await world.project('shop'))?.status.conditions ?? [], 'NodeReachable')?.reason;
}

test('a Project keeps its phase while its node is NotReady, shows that, and no more when the node is back', async () => {
  await using world = startControlLoops();
  await runShop(world, KEEP);
  await world.setNode('n1', SILENT);
  await world.settleUntil(async () => (await reachability(world)) === 'NodeNotReady');
  await world.clock.advance(60 * MINUTE_MS);
  assert.equal((await world.project('shop'))?.status.phase, 'Running');
  await world.setNode('n1');
  await world.settleUntil(async () => (await reachability(world)) === undefined);
});

test('a Project moves to another node when its own is lost for the time, as a new assignment', async () => {
  await using world = startControlLoops();
  await runShop(world);
  await world.setNode('n2');
  await world.setNode('n1', SILENT);
  await world.clock.advance(3 * MINUTE_MS - 1);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  await world.clock.advance(1);
  const { status } = await world.until('shop', 'Scheduled');
  assert.deepEqual([status.nodeRef, status.assignment], ['n2', 2]);
  await assert.rejects(world.service.reportStatus('shop', { phase: 'Running', assignment: 1 }), /Cannot take the report/u);
});

test('a Project is not taken from a node that is back, though its record does not say so yet', async () => {
  let isBack = true;
  await using world = startControlLoops({ isOutdated: ({ metadata: { name } }) => isBack && name === 'n1' });
  await runShop(world);
  await world.setNode('n2');
  await world.setNode('n1', SILENT);
  await world.clock.advance(10 * MINUTE_MS);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  isBack = false;
  await world.clock.advance(1000);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('when a node has less than it had, the Projects that came last say that they do not fit, stay, and say so no more when there is room', async () => {
  await using world = startControlLoops();
  await world.setNode('n1');
  const request = { requests: { memory: '3Gi' } };
  const fits = async (name: string): Promise<string | undefined> =>
    findCondition((await world.project(name))?.status.conditions ?? [], 'FitsNode')?.message;
  for (const name of ['older', 'younger']) {
    await world.service.create(manifestOf(name, request));
    await world.until(name, 'Scheduled');
    await world.service.reportStatus(name, { phase: 'Running', assignment: 1 });
    await world.clock.advance(1000);
  }
  await world.setNode('n1', { allocatable: { cpu: '4', memory: '4Gi', disk: '100Gi' } });
  await world.settleUntil(async () => (await fits('younger')) !== undefined);
  assert.match(
    (await fits('younger')) ?? '',
    /^The memory of the node does not suffice \(3Gi asked beside 3Gi of older Projects, 4Gi allocatable\): it stays on n1/u,
  );
  assert.equal(await fits('older'), undefined);
  assert.deepEqual((await world.project('younger'))?.status.phase, 'Running');
  await world.service.delete('older', { force: true });
  await world.settleUntil(async () => (await fits('younger')) === undefined);
});

test('a Project says when 80 % of its time is over, and goes when all of it is', async () => {
  await using world = startControlLoops();
  await runShop(world, { spec: { ttl: '10m' } });
  const isWarned = async (): Promise<boolean> =>
    findCondition((await world.project('shop'))?.status.conditions ?? [], 'Expiring') !== undefined;
  await world.clock.advance(8 * MINUTE_MS - 1000);
  assert.equal(await isWarned(), false);
  await world.clock.advance(1000);
  await world.settleUntil(isWarned);
  await world.service.patch('shop', { spec: { ttl: '20m' } });
  await world.settleUntil(async () => !(await isWarned()));
  await world.clock.advance(12 * MINUTE_MS - 1000);
  assert.equal((await world.project('shop'))?.status.phase, 'Scheduled');
  await world.clock.advance(1000);
  await world.until('shop', 'Terminating');
  await assert.rejects(world.service.patch('shop', { spec: { ttl: '1h' } }), /as it is being deleted/u);
});

const FENCED = { spec: { onNodeLost: { action: 'Reschedule', after: '1m', fence: true } } } as const satisfies ProjectOptions;

test('a fenced Project moves only when what its node was granted last is over, though the node was long unwell before', async () => {
  await using world = startControlLoops();
  await runShop(world, FENCED);
  await world.setNode('n2');
  await world.setNode('n1', { state: 'NotReady' }); // it beats, and says that its engine is gone
  await world.clock.advance(10 * MINUTE_MS);
  assert.ok(world.fences.grant('n1', 'm1', world.clock.monotonicMs()));
  await world.clock.advance(1000);
  await world.setNode('n1', SILENT);
  await world.clock.advance(NODE_TIMEOUT_MS + MINUTE_MS - 1001);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  await world.clock.advance(1);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('a fenced Project waits as long when its node is deleted, or deleted and made anew', async () => {
  await using world = startControlLoops();
  await runShop(world, FENCED);
  await world.setNode('n2');
  await world.clock.advance(10 * MINUTE_MS);
  assert.ok(world.fences.grant('n1', 'm1', world.clock.monotonicMs()));
  await world.deleteNode('n1');
  await world.clock.advance(MINUTE_MS);
  await world.setNode('n1', SILENT); // as one that never beat
  await world.clock.advance(NODE_TIMEOUT_MS - 1);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  await world.clock.advance(1);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('a node is granted nothing from the look at its last grant until the fenced Project is given away', async () => {
  const clock = new VirtualClock();
  const seen: boolean[] = [];
  let world: ControlLoops | undefined;
  const store = intercepted(clock, async (writes) => {
    const isUnbound = writes.some((write) => write.op === 'update' && write.object.kind === 'Project' && isWithoutNode(write.object));
    if (isUnbound && world !== undefined) {
      seen.push(world.fences.grant('n1', 'm1', clock.monotonicMs()));
    }
    await Promise.resolve();
  });
  await using started = startControlLoops({ clock, store });
  world = started;
  await runShop(world, FENCED);
  await world.setNode('n2');
  await world.setNode('n1', SILENT);
  await world.clock.advance(NODE_TIMEOUT_MS + MINUTE_MS);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
  assert.deepEqual(seen, [false]);
  assert.ok(world.fences.grant('n1', 'm1', clock.monotonicMs()));
});

function isWithoutNode(object: object): boolean {
  const { status } = object as ProjectObject;
  return status.phase === 'Pending' && status.assignment > 0 && status.nodeRef === undefined;
}

test('a Project that nowhere could take stays where it is until another node is there', async () => {
  await using world = startControlLoops();
  await runShop(world);
  await world.setNode('n1', SILENT);
  await world.clock.advance(30 * MINUTE_MS);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  await world.setNode('n2');
  await world.clock.advance(5_000);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('a Project on a deleted node fails after the heartbeat timeout, and runs again when the node returns and its agent reports', async () => {
  await using world = startControlLoops();
  await runShop(world, KEEP);
  await world.deleteNode('n1');
  await world.clock.advance(NODE_TIMEOUT_MS - 1);
  assert.equal((await world.project('shop'))?.status.phase, 'Running');
  assert.equal(await reachability(world), 'NodeDeleted');
  await world.clock.advance(1);
  assert.equal((await world.until('shop', 'Failed')).status.reason, 'NodeLost');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 1 });
  assert.equal((await world.project('shop'))?.status.phase, 'Failed', 'the node has no record yet');
  await world.setNode('n1');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 1 });
  await world.settleUntil(async () => (await reachability(world)) === undefined);
  const { status } = await world.until('shop', 'Running');
  assert.deepEqual([status.nodeRef, status.assignment], ['n1', 1]);
});

test('a Project given up with a node that is unwell stays Failed whatever its agent reports, until the node is well', async () => {
  await using world = startControlLoops();
  await runShop(world, { spec: { onNodeLost: { action: 'Fail', after: '1m' } } });
  await world.setNode('n1', { state: 'NotReady' }); // it beats, and says that its engine is gone
  await world.clock.advance(MINUTE_MS);
  const failed = await world.until('shop', 'Failed');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 1 });
  await world.clock.advance(MINUTE_MS);
  const after = await world.project('shop');
  assert.deepEqual([after?.status.phase, after?.status.reason], ['Failed', 'NodeLost']);
  assert.equal(after?.metadata.resourceVersion, failed.metadata.resourceVersion, 'nothing is written back and forth');
  await world.setNode('n1');
  assert.equal((await world.until('shop', 'Scheduled')).status.reason, 'NodeReturned');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 1 });
  assert.equal((await world.until('shop', 'Running')).status.assignment, 1);
});

test('a Project does not move when its node comes back between the decision and the commit', async () => {
  const clock = new VirtualClock();
  let hasReturned = false;
  const store = intercepted(clock, async (writes, inner) => {
    if (!hasReturned && writes.some((write) => write.op === 'update' && isGivenUp(write.object))) {
      hasReturned = true;
      const node = await inner.get<NodeObject>('Node', 'n1');
      await inner.commit([{ op: 'update', object: { ...node, status: { ...node?.status, state: 'Ready' } } as NodeObject }]);
    }
  });
  await using world = startControlLoops({ clock, store });
  await runShop(world);
  await world.setNode('n2');
  await world.setNode('n1', SILENT);
  await clock.advance(10 * MINUTE_MS);
  assert.ok(hasReturned);
  const project = await world.project('shop');
  assert.deepEqual([project?.status.phase, project?.status.nodeRef, project?.status.assignment], ['Running', 'n1', 1]);
});

function isGivenUp(object: object): boolean {
  const { status } = object as Partial<ProjectObject>;
  return status?.phase === 'Pending' && status.reason === 'NodeLost';
}

test('a Project whose node had gone before the server started fails after the timeout too', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  await store.commit([{ op: 'create', object: boundOf('shop', 'n1', KEEP) }]);
  await using world = startControlLoops({ clock, store });
  await clock.advance(NODE_TIMEOUT_MS - 1);
  assert.equal((await world.project('shop'))?.status.phase, 'Running');
  await clock.advance(1);
  assert.equal((await world.until('shop', 'Failed')).status.reason, 'NodeLost');
});

test('a server that has just started waits the full time anew', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  {
    await using world = startControlLoops({ clock, store });
    await runShop(world);
    await world.setNode('n2');
    await world.setNode('n1', SILENT);
    await clock.advance(2 * MINUTE_MS);
  }
  clock.stall(60 * MINUTE_MS);
  await using world = startControlLoops({ clock, store });
  await clock.advance(3 * MINUTE_MS - 1);
  assert.equal((await world.project('shop'))?.status.nodeRef, 'n1');
  await clock.advance(1);
  assert.equal((await world.until('shop', 'Scheduled')).status.nodeRef, 'n2');
});

test('a Terminating Project on a lost node is let go after the timeout, also when the node has no record', async () => {
  await using world = startControlLoops();
  await runShop(world);
  await world.service.delete('shop', { force: false });
  await world.clock.advance(2 * TERMINATION_TIMEOUT_MS);
  assert.equal((await world.project('shop'))?.status.phase, 'Terminating', 'its node is there: the agent has the word');
  await world.deleteNode('n1');
  await world.clock.advance(TERMINATION_TIMEOUT_MS - 1);
  assert.equal((await world.project('shop'))?.status.phase, 'Terminating');
  await world.clock.advance(1);
  await world.until('shop', 'gone');
});

test('a Project expires on time, bound or not', async () => {
  await using world = startControlLoops();
  await runShop(world, { spec: { ttl: '2h' } });
  await world.service.create(manifestOf('waiting', { requests: { cpu: '100' }, spec: { expireAt: '2026-01-01T02:00:00Z' } }));
  await world.clock.advance(120 * MINUTE_MS - 1);
  assert.equal((await world.project('shop'))?.status.phase, 'Running');
  assert.equal((await world.project('waiting'))?.status.phase, 'Pending');
  await world.clock.advance(1);
  assert.equal((await world.until('shop', 'Terminating')).status.reason, 'Expired');
  await world.until('waiting', 'gone');
});

test('a Project expires within a minute when the wall clock jumps past its end', async () => {
  await using world = startControlLoops();
  await runShop(world, { spec: { ttl: '2h' } });
  await world.clock.settle();
  world.clock.jumpWall(24 * 60 * MINUTE_MS);
  await world.clock.advance(MINUTE_MS);
  await world.until('shop', 'Terminating');
});
