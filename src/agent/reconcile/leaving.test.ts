/** A Project that was asked to leave its node (`status.move`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ProjectObject, type Service, VOLUME_TYPES } from '../../api/project.ts';
import { ModelEngine } from '../../../test/support/engines/model-engine.ts';
import { makeProject } from '../../../test/support/objects/projects.ts';
import { ReconcileWorld } from '../../../test/support/worlds/reconcile-world.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';

const NODE = 'worker-01';

function asked(project: ProjectObject, from = NODE): ProjectObject {
  return { ...project, status: { ...project.status, move: { from, to: 'worker-02', requestedAt: '2026-01-01T00:00:00Z' } } };
}

function deleted(project: ProjectObject): ProjectObject {
  return { ...project, metadata: { ...project.metadata, deletedAt: '2026-01-01T00:00:00Z' } };
}

const anyProject = fc
  .record({
    services: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
    dependencies: fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 4 }),
    volume: fc.constantFrom(...VOLUME_TYPES.filter((type) => type !== 'HostPath')),
  })
  .map(({ services: names, dependencies, volume }) => {
    const services = names.map((name, index): Service => {
      const needs = dependencies.filter(([from, to]) => from === index && to < index).map(([, to]) => ({ service: names[to] ?? name }));
      return { name, image: 'web:1', dependsOn: needs, ...(index === 0 && { volumeMounts: [{ name: 'data', mountPath: '/data' }] }) };
    });
    return makeProject({ services, volumes: [{ name: 'data', type: volume }], assignment: 7 });
  });

/** Brings the Project up, ends it, and says what that changed in the engine, what is left and what was reported last. */
async function endOf(project: ProjectObject, end: ProjectObject, crashAt = Infinity) {
  const model = new ModelEngine();
  model.addImage('web:1');
  const clock = new VirtualClock();
  const first = new ReconcileWorld({ model, clock });
  first.assign([project]);
  await first.untilPhase('Running');
  const before = model.changes.length;
  let crash: Promise<void> | undefined;
  model.onChange = () => {
    if (model.changes.length - before >= crashAt) {
      crash ??= first.crash();
    }
  };
  first.assign([end]);
  await clock.advanceUntil(() => crash !== undefined || first.latest()?.phase === 'Terminated', 120_000);
  await (crash ?? first.crash());
  model.onChange = undefined;
  await using second = new ReconcileWorld({ model, clock });
  second.assign([end]);
  await second.untilPhase('Terminated');
  const left = { containers: model.containers.size, networks: model.networks.size, volumes: [...model.volumes.keys()] };
  return { changes: model.changes.slice(before), left, report: second.latest() };
}

test('a Project that was asked to leave goes exactly as one that is deleted, whatever it is, and says so', async () => {
  await fc.assert(
    fc.asyncProperty(anyProject, async (project) => {
      const moved = await endOf(project, asked(project));
      assert.deepEqual(moved, await endOf(project, deleted(project)));
      assert.equal(moved.report?.assignment, 7);
    }),
    { numRuns: 25 },
  );
});

test('a Project that was asked to leave is gone and said to be so after a crash right behind any change', async () => {
  await fc.assert(
    fc.asyncProperty(anyProject, fc.integer({ min: 1, max: 8 }), async (project, crashAt) => {
      const isManaged = project.spec.volumes?.[0]?.type === 'Managed';
      const { left } = await endOf(project, asked(project), crashAt);
      assert.deepEqual(left, { containers: 0, networks: 0, volumes: isManaged ? ['cara_shop_data'] : [] });
    }),
    { numRuns: 25 },
  );
});

test('a Project that came here because it left another node runs, and runs again when it comes back after leaving', async () => {
  const model = new ModelEngine();
  model.addImage('web:1');
  await using world = new ReconcileWorld({ model });
  const project = makeProject();
  world.assign([asked(project, 'worker-09')]);
  await world.untilPhase('Running');
  world.assign([asked(project)]);
  await world.untilPhase('Terminated');
  world.reconciler.remove('shop', 'u1');
  world.assign([makeProject({ assignment: 2 })]);
  await world.until(() => world.latest()?.phase === 'Running' && world.latest()?.assignment === 2);
});
