import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundOf } from '../../../test/support/objects/resources.ts';
import { manifestOf } from '../../../test/support/worlds/control-loops.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { findCondition } from '../../api/condition.ts';
import { hasReason } from '../../api/errors.ts';
import type { ProjectManifest, ProjectObject, StatusReport } from '../../api/project.ts';
import { systemRandom } from '../../base/random.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { createProjectService } from './project-service.ts';
import { createRolloutService } from './rollout-service.ts';

async function setUp() {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  await store.commit([{ op: 'create', object: boundOf('shop', 'n1') }]);
  await store.commit([{ op: 'create', object: boundOf('shop-2', 'n1') }]);
  const deps = { store, clock, random: systemRandom, log: silentLog };
  const [projects, rollouts] = [createProjectService(deps), createRolloutService(deps)];
  const get = async (): Promise<ProjectObject> => (await store.get<ProjectObject>('Project', 'shop')) ?? assert.fail();
  const report = async (more: Partial<StatusReport>): Promise<void> => {
    const { generation } = (await get()).metadata;
    await projects.reportStatus('shop', {
      phase: 'Running',
      assignment: 1,
      observedGeneration: generation,
      goodGeneration: generation,
      ...more,
    });
  };
  return { store, projects, rollouts, get, report };
}

function withImage(image: string): ProjectManifest {
  const manifest = manifestOf('shop');
  return { ...manifest, spec: { services: [{ name: 'web', image }] } };
}

test('the specs of before are kept with their cause, their time and what became of them', async () => {
  const { projects, rollouts, report } = await setUp();
  await report({});
  await projects.apply(withImage('web:2'), undefined, 'alice');
  await report({ phase: 'Failed', reason: 'RolledBack', message: 'Generation 2 was rolled back to 1', goodGeneration: 1 });
  await projects.apply(withImage('web:3'));
  const history = await rollouts.history('shop');
  assert.deepEqual(
    history.map(({ revision, cause, outcome, isCurrent, isRunning, spec }) => [
      revision,
      cause,
      outcome,
      isCurrent,
      isRunning,
      spec.services[0]?.image,
    ]),
    [
      [1, 'create', 'Good', false, true, 'shop/web:3'],
      [2, 'apply by alice', 'RolledBack', false, false, 'web:2'],
      [3, 'apply', 'Progressing', true, false, 'web:3'],
    ],
  );
  assert.equal(history[1]?.message, 'Generation 2 was rolled back to 1');
});

test('ten are kept at most, the last good one always, and first those go whose spec is there again', async () => {
  const { projects, rollouts, report } = await setUp();
  await report({});
  for (let n = 2; n <= 5; n += 1) {
    await rollouts.restart('shop', {});
  }
  for (let n = 6; n <= 30; n += 1) {
    await projects.apply(withImage(`web:${n}`));
  }
  const revisions = (await rollouts.history('shop')).map(({ revision }) => revision);
  assert.deepEqual(revisions, [1, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
});

test('undo() asks for the newest good spec before, or the one that is named; a number that is none is refused with those there are', async () => {
  const { projects, rollouts, report, get } = await setUp();
  await assert.rejects(
    rollouts.undo('shop', {}),
    (error) => hasReason(error, 'NoRevision') && /it has no earlier one/u.test(String(error)),
  );
  await report({});
  await projects.apply(withImage('web:2'));
  await projects.apply(withImage('web:3'));
  const undone = await rollouts.undo('shop', {}, { by: 'bob' });
  assert.deepEqual([undone.metadata.generation, undone.spec.services[0]?.image], [4, 'shop/web:3']);
  assert.equal(undone.status.change?.cause, 'undo to revision 1 by bob');
  assert.deepEqual([undone.status.phase, undone.status.reason], ['Scheduled', 'Updating']);
  assert.equal((await rollouts.undo('shop', { toRevision: 2 })).spec.services[0]?.image, 'web:2');
  for (const toRevision of [9, 5]) {
    await assert.rejects(
      rollouts.undo('shop', { toRevision }),
      (error) => hasReason(error, 'Invalid') && /known are 1, 2, 3, 4/u.test(String(error)),
    );
  }
  assert.equal((await get()).metadata.generation, 5);
});

test('restart() makes a new generation of the same spec, for the services named', async () => {
  const { rollouts, get, report } = await setUp();
  const { metadata, status, spec } = await rollouts.restart('shop', { services: ['web'] });
  assert.deepEqual([metadata.generation, status.phase, status.change?.cause], [2, 'Scheduled', 'restart web']);
  assert.deepEqual(
    status.restarts?.map(({ service }) => service),
    ['web'],
  );
  assert.deepEqual(spec, (await get()).spec);
  await report({});
  assert.equal((await get()).status.restarts?.length, 1);
  await assert.rejects(
    rollouts.restart('shop', { services: ['api'] }),
    (error) => hasReason(error, 'Invalid') && /it has web/u.test(String(error)),
  );
});

test('what is kept of a Project goes with it, and nothing of another', async () => {
  const { store, projects, rollouts } = await setUp();
  await projects.apply(withImage('web:2'));
  await projects.apply({ ...withImage('web:2'), metadata: { name: 'shop-2' } });
  await projects.delete('shop', { force: true });
  const { items } = await store.list('ProjectRevision');
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['shop-2/000000000001'],
  );
  assert.equal((await rollouts.history('shop-2')).length, 2);
  await projects.apply(withImage('web:1'));
  assert.equal((await rollouts.history('shop')).length, 1);
});

test('the condition Progressing says how a change goes; False is a change that failed, not a crash of later', async () => {
  const { projects, get, report } = await setUp();
  const progress = async () => findCondition((await get()).status.conditions, 'Progressing');
  await report({});
  assert.equal(await progress(), undefined);
  await projects.apply(withImage('web:2'));
  assert.deepEqual([(await progress())?.status, (await progress())?.reason], ['True', 'Updating']);
  await report({ phase: 'Failed', reason: 'RolledBack', message: 'Generation 2 was rolled back to 1', goodGeneration: 1 });
  assert.deepEqual([(await progress())?.status, (await progress())?.reason], ['False', 'RolledBack']);
  await projects.apply(withImage('web:3'));
  await report({});
  assert.deepEqual([(await progress())?.status, (await progress())?.reason], ['True', 'Complete']);
  await report({ phase: 'Failed', reason: 'CrashLoop', message: 'web: it crashes' });
  assert.equal((await progress())?.reason, 'Complete');
});

test('an agent that knows nothing of versions counts as having seen one good when all of it runs', async () => {
  const { get, projects } = await setUp();
  await projects.reportStatus('shop', { phase: 'Running' });
  assert.equal((await get()).status.goodGeneration, 1);
  await projects.apply(withImage('web:2'));
  await projects.reportStatus('shop', { phase: 'Running', observedGeneration: 1 });
  assert.equal((await get()).status.goodGeneration, 1);
});
