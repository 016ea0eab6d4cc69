import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectObject, Service } from '../../api/project.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import type { ContainerHealth } from '../docker/docker-types.ts';
import { NO_FENCE, type FenceGate, type FenceState } from './fence-gate.ts';

const LOG = [{ startedAt: '', finishedAt: '', exitCode: 1, output: 'no connection\n' }];
const SICK: ContainerHealth = { status: 'unhealthy', failingStreak: 3, log: LOG };
const DB: Service = { name: 'db', image: 'db:1', healthCheck: { test: ['CMD', 'true'] } };
const NAME = 'cara_shop_db';

function newModel(): ModelEngine {
  const model = new ModelEngine();
  model.addImage('db:1');
  return model;
}

async function running(project: ProjectObject, model = newModel()): Promise<ReconcileWorld> {
  const world = new ReconcileWorld({ model });
  world.assign([project]);
  await world.untilPhase('Running');
  return world;
}

function restartsOf({ changes }: ModelEngine): number {
  return changes.filter((change) => change === `restartContainer ${NAME}`).length;
}

const project = (more: Partial<Service> = {}): ProjectObject => makeProject({ services: [{ ...DB, ...more }] });

test('a service that turns unhealthy is restarted in place, counted, and said to be until it is well again', async () => {
  await using world = await running(project());
  const id = world.model.byName(NAME)?.id;
  world.model.setState(NAME, { health: SICK });
  await world.until(() => restartsOf(world.model) === 1);
  await world.untilPhase('Running');
  const told = world.reports.find(({ report }) => report.reason === 'Unhealthy')?.report;
  assert.equal(told?.phase, 'Failed');
  assert.match(told.message ?? '', /^db: Its health check fails, last with code 1: no connection; it is being restarted$/u);
  assert.equal(told.services?.[0]?.state, 'Restarting');
  assert.deepEqual(told.services?.[0]?.health, { state: 'Unhealthy', output: 'code 1: no connection' });
  const now = world.service('db');
  assert.equal(world.model.byName(NAME)?.id, id);
  assert.deepEqual([now?.restarts, now?.lastExit?.reason, now?.health], [1, 'Unhealthy', { state: 'Healthy' }]);
  assert.equal(restartsOf(world.model), 1);
});

test('a service that stays unhealthy is restarted ever more slowly, up to a minute, and shown as unhealthy all the while', async () => {
  const model = newModel();
  model.health.set('db:1', SICK);
  await using world = new ReconcileWorld({ model });
  world.assign([project()]);
  await world.untilPhase('Failed');
  await world.clock.advance(60_000);
  const early = restartsOf(model);
  await world.clock.advance(600_000);
  const late = restartsOf(model) - early;
  assert.ok(early >= 5 && early <= 10, `${early} in the first minute`);
  assert.ok(late >= 9 && late <= 25, `${late} in the next ten`);
  assert.ok(
    world.reports
      .slice(world.reports.findIndex(({ report }) => report.phase === 'Failed'))
      .every(({ report }) => report.phase === 'Failed'),
  );
  assert.equal(world.latest()?.reason, 'Unhealthy');
  assert.match(world.latest()?.message ?? '', /it waits \d+s for its next restart \(restarted \d+ times so far\)$/u);
  assert.equal(world.service('db')?.restarts, early + late);
});

test('a service that is well in between, but never for long, is restarted ever more slowly too', async () => {
  await using world = await running(project());
  for (let second = 0; second < 60; second += 1) {
    world.model.setState(NAME, { health: SICK });
    await world.clock.advance(1000);
  }
  assert.ok(restartsOf(world.model) <= 12, `${restartsOf(world.model)} in a minute`);
});

test('a service that was well for a minute is restarted at once again', async () => {
  const model = newModel();
  model.health.set('db:1', SICK);
  await using world = new ReconcileWorld({ model });
  world.assign([project()]);
  await world.until(() => restartsOf(model) === 6);
  model.health.delete('db:1');
  await world.untilPhase('Running');
  await world.clock.advance(61_000);
  const before = restartsOf(model);
  model.setState(NAME, { health: SICK });
  await world.clock.advance(1);
  assert.equal(restartsOf(model), before + 1);
});

test('one that is slow to become healthy is left alone', async () => {
  const model = newModel();
  model.health.set('db:1', { status: 'starting', failingStreak: 0, log: LOG });
  await using world = new ReconcileWorld({ model });
  world.assign([project()]);
  await world.clock.advance(600_000);
  assert.equal(restartsOf(model), 0);
  assert.equal(world.service('db')?.message, 'Waiting for its health check: code 1: no connection');
});

test('a check that the engine was stopped in is not held against a container', async () => {
  await using world = await running(project());
  const stalled = { startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T01:00:00Z', exitCode: -1, output: 'exceeded timeout (30s)' };
  world.model.setState(NAME, { health: { status: 'unhealthy', failingStreak: 1, log: [{ ...stalled, exitCode: 0 }, stalled] } });
  await world.clock.advance(60_000);
  assert.deepEqual([restartsOf(world.model), world.latest()?.phase], [0, 'Running']);
});

test('with restartPolicy Never an unhealthy service is left as it is', async () => {
  await using world = await running(project({ restartPolicy: 'Never' }));
  world.model.setState(NAME, { health: SICK });
  await world.untilPhase('Failed');
  await world.clock.advance(60_000);
  assert.equal(restartsOf(world.model), 0);
  assert.match(world.latest()?.message ?? '', /it is not restarted, as its restart policy is Never$/u);
});

test('a crash of the agent right behind a restart leads to no second one', async () => {
  const first = await running(project());
  const { model, clock } = first;
  const { promise: crashed, resolve } = Promise.withResolvers<void>();
  model.onChange = (change) => {
    if (change === 'restartContainer') {
      void first.crash().then(resolve);
    }
  };
  model.setState(NAME, { health: SICK });
  await clock.advance(1000);
  await crashed;
  model.onChange = undefined;
  await using next = new ReconcileWorld({ model, clock });
  next.assign([project()]);
  await next.untilPhase('Running');
  assert.equal(restartsOf(model), 1);
});

test('the end of a run is told with its code, and counted once', async () => {
  await using world = await running(project());
  world.model.exit(NAME, 137, { restarts: 1 });
  await world.until(() => world.service('db')?.restarts === 1);
  const { lastExit } = world.service('db') ?? {};
  assert.equal(lastExit?.reason, 'Exited');
  assert.equal(lastExit.exitCode, 137, 'from the event, as the engine has forgotten it');
});

test('what someone stops on the node is started again, and called stopped', async () => {
  await using world = await running(project());
  world.model.exit(NAME, 143);
  await world.until(() => world.service('db')?.lastExit !== undefined);
  await world.untilPhase('Running');
  const { restarts, lastExit } = world.service('db') ?? {};
  assert.deepEqual([restarts, lastExit?.reason, lastExit?.exitCode], [1, 'Stopped', 143]);
});

test('what someone removes is made anew, goes on from its record, and slows down where that is done again and again', async () => {
  await using world = await running(project());
  world.model.destroy(NAME);
  await world.until(() => world.service('db')?.lastExit?.reason === 'Removed');
  await world.untilPhase('Running');
  assert.equal(world.service('db')?.restarts, 1);
  let removals = 0;
  for (let second = 0; second < 60; second += 1) {
    await world.clock.advance(1000);
    if (world.model.byName(NAME) !== undefined) {
      world.model.destroy(NAME);
      removals += 1;
    }
  }
  assert.ok(removals < 20, `${removals} containers made in a minute`);
});

test('what the agent itself replaces is no exit', async () => {
  await using world = await running(project());
  world.model.addImage('db:2');
  world.assign([makeProject({ generation: 2, services: [{ ...DB, image: 'db:2' }] })]);
  await world.until(() => world.latest()?.phase === 'Running' && world.latest()?.observedGeneration === 2);
  assert.deepEqual([world.service('db')?.restarts, world.service('db')?.lastExit], [0, undefined]);
});

test('what the agent stops and starts again for a fence is neither', async () => {
  let state: FenceState = 'open';
  let wake: (project: string) => void = () => undefined;
  const subscribe: FenceGate['subscribe'] = (listener) => {
    wake = listener;
    return () => undefined;
  };
  const fence: FenceGate = { ...NO_FENCE, stateOf: () => state, subscribe };
  const model = newModel();
  await using world = new ReconcileWorld({ model, fence });
  world.assign([project()]);
  await world.untilPhase('Running');
  state = 'closed';
  wake('shop');
  await world.untilPhase('Scheduled');
  await world.clock.advance(1000);
  state = 'open';
  wake('shop');
  await world.untilPhase('Running');
  assert.deepEqual([world.service('db')?.restarts, world.service('db')?.lastExit], [0, undefined]);
});

test('an engine that is stopped and started is no fault of a service: no phase, no restarts and no container of it changes', async () => {
  for (const restartPolicy of ['Always', 'OnFailure'] as const) {
    await using world = await running(project({ restartPolicy }));
    const id = world.model.byName(NAME)?.id;
    const reports = world.reports.length;
    await world.model.bounce(async () => await world.clock.advance(5000));
    await world.clock.advance(60_000);
    const after = world.reports.slice(reports).map(({ report }) => report);
    assert.deepEqual([...new Set(after.map(({ phase }) => phase))], ['Running']);
    const { restarts, lastExit } = world.service('db') ?? {};
    assert.deepEqual([world.model.byName(NAME)?.id, restarts, lastExit?.reason], [id, 0, 'EngineStopped']);
  }
});

test('a restarted agent goes on from what it last reported', async () => {
  const first = await running(project());
  first.model.exit(NAME, 1);
  await first.until(() => first.service('db')?.restarts === 1);
  await first.untilPhase('Running');
  await first.crash();
  const known = project();
  const reported = { ...known, status: { ...known.status, services: first.latest()?.services ?? [] } };
  await using next = new ReconcileWorld({ model: first.model, clock: first.clock });
  next.assign([reported], 'file');
  await next.untilPhase('Running');
  assert.deepEqual(next.service('db'), first.service('db'));
});
