import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { EngineError } from '../docker/engine-error.ts';

const FAR = makeProject({ services: [{ name: 'web', image: 'far:1' }] });

test('a Project that is removed while the engine is looked at gets no step from that look', async () => {
  const model = new ModelEngine();
  const { engine } = model;
  let looks = 0;
  await using world = new ReconcileWorld({
    model,
    engine: {
      ...engine,
      listVolumes: async (filter, signal) => {
        looks += 1;
        if (looks === 2) {
          world.reconciler.remove('shop', 'u1'); // the first look is the sweep's
        }
        return await engine.listVolumes(filter, signal);
      },
    },
  });
  world.assign([FAR]);
  await world.clock.advance(60_000);
  assert.deepEqual(model.changes, []);
});

test('a pull is given up once no service wants its image any more', async () => {
  await using world = new ReconcileWorld();
  world.model.addImage('near:1');
  world.model.registry.add('far:1');
  const { promise, resolve } = Promise.withResolvers<void>();
  world.model.held.set('pullImage', promise);
  world.assign([FAR]);
  await world.until(() => world.service('web')?.state === 'Pulling');
  world.reconciler.upsert({ project: makeProject({ generation: 2, services: [{ name: 'web', image: 'near:1' }] }) });
  await world.untilPhase('Running');
  resolve();
  await world.clock.advance(60_000);
  assert.ok(!world.model.changes.includes('pullImage far:1'));
});

test('a Project goes Terminated though one of its pulls hangs', async () => {
  await using world = new ReconcileWorld();
  world.model.held.set('pullImage', new Promise<void>(() => undefined));
  world.assign([FAR]);
  await world.until(() => world.service('web')?.state === 'Pulling');
  world.reconciler.upsert({ project: makeProject({ services: [{ name: 'web', image: 'far:1' }], isDeleted: true }) });
  await world.untilPhase('Terminated');
});

test('an engine that is away makes no Project Failed, and work goes on when it is back', async () => {
  const model = new ModelEngine();
  model.addImage('near:1');
  const { engine } = model;
  let isAway = true;
  await using world = new ReconcileWorld({
    model,
    engine: {
      ...engine,
      listContainers: async (options, signal) => {
        if (isAway) {
          throw new EngineError('EngineUnreachable', 'no socket');
        }
        return await engine.listContainers(options, signal);
      },
    },
  });
  world.assign([makeProject({ services: [{ name: 'web', image: 'near:1' }] })]);
  await world.clock.advance(300_000);
  assert.equal(world.reports.length, 0);
  isAway = false;
  await world.until(() => world.latest()?.phase === 'Running', 31_000);
  assert.ok(world.reports.every(({ report }) => report.phase !== 'Failed'));
});

test('assign() reports again what the server does not have', async () => {
  await using world = new ReconcileWorld();
  world.model.addImage('near:1');
  const project = makeProject({ services: [{ name: 'web', image: 'near:1' }] });
  world.assign([project]);
  await world.untilPhase('Running');
  const count = world.reports.length;
  world.assign([{ ...project, status: { ...project.status, phase: 'Running', observedGeneration: 1 } }]);
  await world.clock.advance(1000);
  assert.equal(world.reports.length, count);
  world.assign([project]);
  await world.clock.advance(1000);
  assert.equal(world.reports.length, count + 1);
});
