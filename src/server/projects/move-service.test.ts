import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ControlLoops,
  NODE_TIMEOUT_MS,
  intercepted,
  manifestOf,
  startControlLoops,
} from '../../../test/support/worlds/control-loops.ts';
import type { ProjectOptions } from '../../../test/support/objects/resources.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { DrainPlan, MoveRequest } from '../../api/project/drain.ts';
import { hasReason } from '../../api/errors.ts';
import { hasMoved } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { MOVE_WISH_MS } from './project-move.ts';

const NEVER = new AbortController().signal;
const SILENT = { state: 'NotReady', isSilent: true } as const;

/** Projects Running on n1; then n2 comes. */
async function runOnFirst(world: ControlLoops, names: readonly string[] = ['shop'], options: ProjectOptions = {}): Promise<void> {
  await world.setNode('n1');
  for (const name of names) {
    await world.service.create(manifestOf(name, options));
    await world.until(name, 'Scheduled');
    await world.service.reportStatus(name, { phase: 'Running', assignment: 1 });
  }
  await world.setNode('n2');
}

function drain(world: ControlLoops, node = 'n1', request: MoveRequest = {}): Promise<DrainPlan> {
  return world.moves.drain(node, request, NEVER);
}

async function confirmStop(world: ControlLoops, name = 'shop', assignment = 1): Promise<void> {
  await world.service.reportStatus(name, { phase: 'Terminated', assignment });
}

async function get(world: ControlLoops, name = 'shop'): Promise<ProjectObject> {
  return (await world.project(name)) ?? assert.fail(`${name} is gone`);
}

function actionsOf({ projects }: DrainPlan): readonly string[] {
  return projects.map(({ project, action, reason, to }) => [project, action, reason, to ?? '-'].join(' '));
}

/** On which node, by which assignment. */
async function placeOf(world: ControlLoops, name = 'shop'): Promise<string> {
  const { nodeRef = 'none', assignment } = (await get(world, name)).status;
  return `${nodeRef} ${assignment}`;
}

test('drain() cordons, asks, and the Project runs elsewhere once its agent has confirmed that it is stopped', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  assert.deepEqual(actionsOf(await drain(world)), ['shop Move Fits n2']);
  await world.clock.advance(600_000);
  const { phase, reason, nodeRef, move } = (await get(world)).status;
  assert.deepEqual([phase, reason, nodeRef, move?.from], ['Scheduled', 'Moving', 'n1', 'n1'], 'it waits for its agent, for ever');
  await world.service.reportStatus('shop', { phase: 'Terminating', assignment: 1 });
  await confirmStop(world);
  await world.settleUntil(async () => (await placeOf(world)) === 'n2 2');
  const { status } = await get(world);
  assert.equal(status.move, undefined);
  assert.ok(hasMoved(status));
  await assert.rejects(confirmStop(world), (error) => hasReason(error, 'StaleAssignment'));
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 2 });
  assert.deepEqual(actionsOf(await drain(world)), []);
});

test('drain() as a dry run changes nothing', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  const version = await world.store.version();
  assert.deepEqual(actionsOf(await drain(world, 'n1', { dryRun: true })), ['shop Move Fits n2']);
  assert.equal(await world.store.version(), version);
});

test('drain() refuses a node that is not there, and a target that cannot be, before it cordons', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  await assert.rejects(drain(world, 'n9'), /Cannot drain node "n9" as there is none of that name/u);
  for (const to of ['n1', 'n9']) {
    await assert.rejects(drain(world, 'n1', { to }), (error) => hasReason(error, 'Invalid') && error.errors[0]?.pointer === '/to');
  }
  assert.equal((await get(world)).status.phase, 'Running');
});

test('drain() leaves what cannot move running', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['db'], { spec: { volumes: [{ name: 'data', type: 'Managed' }] } });
  assert.deepEqual(actionsOf(await drain(world)), ['db Keep ManagedVolume -']);
  assert.equal((await get(world, 'db')).status.phase, 'Running');
  await assert.rejects(
    world.moves.move('db', {}, NEVER),
    (error) =>
      hasReason(error, 'Immovable') && error.message === 'Cannot move project "db" as the data of its Managed volume data stays on n1',
  );
});

test('drain() asked again, or twice at once, asks no Project twice', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['a', 'b']);
  const [first, second] = await Promise.all([drain(world), drain(world)]);
  assert.deepEqual(
    first.projects.map(({ action }) => action),
    ['Move', 'Move'],
  );
  assert.deepEqual(
    second.projects.map(({ action }) => action),
    ['Move', 'Move'],
  );
  const { requestedAt } = (await get(world, 'a')).status.move ?? assert.fail();
  await world.clock.advance(1000);
  const version = await world.store.version();
  assert.deepEqual(actionsOf(await drain(world)), ['a Move Moving n2', 'b Move Moving n2']);
  assert.equal(await world.store.version(), version);
  assert.equal((await get(world, 'a')).status.move?.requestedAt, requestedAt);
});

test('drains of two nodes at once end with every Project somewhere else, and none on a node that drains', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['a', 'b']);
  await world.moves.move('a', { to: 'n2' }, NEVER);
  await confirmStop(world, 'a');
  await world.settleUntil(async () => (await placeOf(world, 'a')) === 'n2 2');
  await world.setNode('n3', { allocatable: { cpu: '4', memory: '8Gi' } });
  await Promise.all([drain(world, 'n1'), drain(world, 'n2')]);
  await confirmStop(world, 'b', 1);
  await confirmStop(world, 'a', 2);
  await world.settleUntil(async () => (await placeOf(world, 'a')) === 'n3 3' && (await placeOf(world, 'b')) === 'n3 2');
});

test('drain() counts a Project that changes between plan and request by what it has become', async () => {
  const clock = new VirtualClock();
  let hasChanged = false;
  const store = intercepted(clock, async (writes, inner) => {
    const [write] = writes;
    if (!hasChanged && write?.op === 'update' && (write.object as ProjectObject).status.move !== undefined) {
      hasChanged = true;
      const shop = await inner.get<ProjectObject>('Project', 'shop');
      const spec = { ...shop?.spec, volumes: [{ name: 'data', type: 'Managed' }] };
      await inner.commit([{ op: 'update', object: { ...shop, spec } as ProjectObject }]);
    }
  });
  await using world = startControlLoops({ clock, store });
  await runOnFirst(world);
  assert.deepEqual(actionsOf(await drain(world)), ['shop Keep ManagedVolume -']);
  assert.equal((await get(world)).status.move, undefined);
});

test('a Project waits for the node that was asked for, says why, and goes anywhere after a minute', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['shop'], { requests: { memory: '2Gi' } });
  await world.setNode('n3');
  await drain(world, 'n1', { to: 'n2' });
  await world.setNode('n2', { allocatable: { memory: '1Gi' } });
  await confirmStop(world);
  const said = '0/3 nodes are available: 1 lacks memory (2Gi asked, 1Gi free at most), 2 are not n2, where it was asked to go';
  await world.settleUntil(async () => (await get(world)).status.message === said);
  await world.clock.advance(MOVE_WISH_MS - 1);
  assert.equal(await placeOf(world), 'none 1');
  await world.clock.advance(1);
  await world.settleUntil(async () => (await placeOf(world)) === 'n3 2');
});

test('a Project that found no other place goes back rather than stay down, where nobody cordoned its node', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  await world.moves.move('shop', {}, NEVER);
  await world.setNode('n2', { unschedulable: true });
  await confirmStop(world);
  await world.settleUntil(async () => (await get(world)).status.reason === 'Unschedulable');
  assert.match((await get(world)).status.message ?? '', /1 is Draining, 1 is what it was asked to leave$/u);
  await world.clock.advance(MOVE_WISH_MS);
  await world.settleUntil(async () => (await placeOf(world)) === 'n1 2');
});

test('move() of a Project that has left tells it where to go, also back', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  await world.moves.move('shop', {}, NEVER);
  await world.setNode('n2', { unschedulable: true });
  await confirmStop(world);
  await world.settleUntil(async () => (await get(world)).status.reason === 'Unschedulable');
  assert.equal((await world.moves.move('shop', { to: 'n1' }, NEVER)).projects[0]?.to, 'n1');
  await world.settleUntil(async () => (await placeOf(world)) === 'n1 2');
});

test('a Project that is deleted while it moves goes for good, whatever its agent says when', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['early', 'late']);
  await drain(world);
  assert.equal((await world.service.delete('early', { force: false })).isGone, false);
  assert.equal((await get(world, 'early')).status.move, undefined);
  await confirmStop(world, 'early');
  await world.until('early', 'gone');
  await world.setNode('n2', { unschedulable: true });
  await confirmStop(world, 'late');
  assert.equal((await world.service.delete('late', { force: false })).isGone, true);
});

test('a Project whose spec changes while it moves comes up by the new one', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  await drain(world);
  await world.service.apply(manifestOf('shop', { requests: { cpu: '1' } }));
  assert.deepEqual([(await get(world)).status.phase, (await get(world)).status.reason], ['Scheduled', 'Moving']);
  await confirmStop(world);
  await world.settleUntil(async () => (await placeOf(world)) === 'n2 2');
  await world.service.reportStatus('shop', { phase: 'Running', assignment: 2, observedGeneration: 2 });
  await world.until('shop', 'Running');
});

test('a node that falls silent is not taken for an empty one: onNodeLost moves the Project, and nothing says that it was stopped', async () => {
  await using world = startControlLoops();
  await runOnFirst(world);
  await drain(world);
  await world.setNode('n1', { ...SILENT, unschedulable: true });
  assert.deepEqual(actionsOf(await drain(world)), ['shop Wait NodeNotReady -']);
  await world.clock.advance(180_000);
  await world.settleUntil(async () => (await placeOf(world)) === 'n2 2');
  const { status } = await get(world);
  assert.deepEqual([status.move, hasMoved(status)], [undefined, false]);
});

test('a node that is deleted while a Project leaves it: its agent may still confirm, else the loss decides', async () => {
  await using world = startControlLoops();
  await runOnFirst(world, ['told', 'untold']);
  await drain(world);
  await world.deleteNode('n1');
  await confirmStop(world, 'told');
  await world.settleUntil(async () => (await placeOf(world, 'told')) === 'n2 2');
  await world.clock.advance(NODE_TIMEOUT_MS);
  assert.equal((await world.until('untold', 'Failed')).status.reason, 'NodeLost');
  await world.clock.advance(180_000);
  await world.settleUntil(async () => (await placeOf(world, 'untold')) === 'n2 2');
});

test('a move goes on from where it was whenever the server is started anew', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const inOneLife = async (act: (world: ControlLoops) => Promise<void>): Promise<void> => {
    await using world = startControlLoops({ clock, store });
    await act(world);
  };
  await inOneLife((world) => runOnFirst(world));
  await inOneLife(async (world) => void (await drain(world, 'n1', { to: 'n2' })));
  await inOneLife(async (world) => world.service.reportStatus('shop', { phase: 'Terminating', assignment: 1 }));
  await inOneLife(async (world) => world.setNode('n2', { unschedulable: true }));
  await inOneLife((world) => confirmStop(world));
  await inOneLife(async (world) => {
    await world.clock.advance(MOVE_WISH_MS - 1);
    assert.equal((await get(world)).status.move?.to, 'n2');
  });
  await inOneLife(async (world) => {
    await world.clock.advance(MOVE_WISH_MS - 1);
    assert.equal((await get(world)).status.move?.to, 'n2', 'the minute begins anew: the server may have been away for it');
    await world.setNode('n2');
    await world.settleUntil(async () => (await placeOf(world)) === 'n2 2');
  });
  await inOneLife(async (world) => assert.deepEqual(actionsOf(await drain(world)), []));
});
