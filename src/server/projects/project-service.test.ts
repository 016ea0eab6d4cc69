import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundOf, projectOf } from '../../../test/support/objects/resources.ts';
import { manifestOf } from '../../../test/support/worlds/control-loops.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { findCondition } from '../../api/condition.ts';
import { type Reason, hasReason } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { systemRandom } from '../../base/random.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { createProjectService } from './project-service.ts';

async function setUp(...existing: readonly ProjectObject[]) {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  for (const object of existing) {
    await store.commit([{ op: 'create', object }]);
  }
  const service = createProjectService({ store, clock, random: systemRandom, log: silentLog });
  return { clock, store, service };
}

const refusedAs = (reason: Reason) => (error: unknown) => hasReason(error, reason);

test('create() stores a Pending Project, and refuses a second of its name', async () => {
  const { service } = await setUp();
  const { metadata, status } = await service.create(manifestOf('shop'));
  assert.equal(metadata.generation, 1);
  assert.equal(status.phase, 'Pending');
  assert.equal(status.assignment, 0);
  await assert.rejects(service.create(manifestOf('shop')), refusedAs('AlreadyExists'));
});

test('apply() creates, changes, and writes nothing when nothing changes', async () => {
  const { service } = await setUp();
  const created = await service.apply(manifestOf('shop'));
  assert.deepEqual([created.isCreated, created.isChanged], [true, true]);
  const again = await service.apply(manifestOf('shop'));
  assert.deepEqual([again.isCreated, again.isChanged], [false, false]);
  assert.equal(again.object.metadata.resourceVersion, created.object.metadata.resourceVersion);
  const changed = await service.apply(manifestOf('shop', { hostPorts: [80] }));
  assert.deepEqual([changed.isCreated, changed.isChanged], [false, true]);
  assert.equal(changed.object.metadata.generation, 2);
});

test('apply() of a new spec keeps the node and leaves Running in the same write', async () => {
  const { service } = await setUp(boundOf('shop', 'n1'));
  const { status } = (await service.apply(manifestOf('shop', { hostPorts: [80] }))).object;
  assert.equal(status.phase, 'Scheduled');
  assert.equal(status.reason, 'Updating');
  assert.deepEqual([status.nodeRef, status.assignment], ['n1', 1]);
  assert.equal(findCondition(status.conditions, 'Ready')?.status, 'False');
});

test('replace() and patch() check the version they name, and leave the status alone when only labels change', async () => {
  const { service } = await setUp(boundOf('shop', 'n1'));
  const patched = await service.patch('shop', { metadata: { labels: { tier: 'dev' } } });
  assert.deepEqual(patched.metadata.labels, { tier: 'dev' });
  assert.equal(patched.metadata.generation, 1);
  assert.equal(patched.status.phase, 'Running');
  const stale = { ...manifestOf('shop'), metadata: { name: 'shop', resourceVersion: '0' } };
  await assert.rejects(service.replace('shop', stale), refusedAs('Conflict'));
  await assert.rejects(service.patch('shop', { spec: { services: null } }), refusedAs('Invalid'));
  await assert.rejects(service.replace('other', manifestOf('other')), refusedAs('NotFound'));
  await assert.rejects(service.patch('other', {}), refusedAs('NotFound'));
});

test('delete() drops what has no node at once, and asks the agent of what has one', async () => {
  const { service, store } = await setUp(projectOf('waiting'), boundOf('shop', 'n1'), boundOf('stuck', 'n1'));
  assert.equal((await service.delete('waiting', { force: false })).isGone, true);
  assert.equal(await store.get('Project', 'waiting'), undefined);
  const { object, isGone } = await service.delete('shop', { force: false });
  assert.equal(isGone, false);
  assert.equal(object.status.phase, 'Terminating');
  assert.equal(object.metadata.deletedAt, '2026-01-01T00:00:00.000Z');
  const again = await service.delete('shop', { force: false });
  assert.equal(again.object.metadata.resourceVersion, object.metadata.resourceVersion);
  assert.equal((await service.delete('stuck', { force: true })).isGone, true);
  await assert.rejects(service.delete('stuck', { force: true }), refusedAs('NotFound'));
});

test('no write but the end of it gets through to a Project that is being deleted', async () => {
  const { service, store } = await setUp(boundOf('shop', 'n1'));
  await service.delete('shop', { force: false });
  for (const write of [service.create(manifestOf('shop')), service.apply(manifestOf('shop')), service.patch('shop', {})]) {
    await assert.rejects(write, (error) => hasReason(error, 'Conflict') && /is being deleted: wait/u.test(error.message));
  }
  await service.reportStatus('shop', { phase: 'Terminated', assignment: 1 });
  assert.equal(await store.get('Project', 'shop'), undefined);
  await service.create(manifestOf('shop'));
});

test('reportStatus() refuses stale reports and strangers, and writes a repeated one once', async () => {
  const { service, store } = await setUp(boundOf('shop', 'n1'));
  await assert.rejects(service.reportStatus('shop', { phase: 'Running', assignment: 0 }), refusedAs('StaleAssignment'));
  await assert.rejects(service.reportStatus('other', { phase: 'Running' }), refusedAs('NotFound'));
  await service.reportStatus('shop', { phase: 'Failed', reason: 'PullFailed', assignment: 1 });
  const version = await store.version();
  await service.reportStatus('shop', { phase: 'Failed', reason: 'PullFailed', assignment: 1 });
  assert.equal(await store.version(), version);
});

test('concurrent writes of one Project all get through', async () => {
  const { service, store } = await setUp(boundOf('shop', 'n1'));
  await Promise.all([
    ...[1, 2, 3].map((index) => service.patch('shop', { metadata: { labels: { [`l${index}`]: 'x' } } })),
    service.reportStatus('shop', { phase: 'Failed' }),
  ]);
  const project = await store.get<ProjectObject>('Project', 'shop');
  assert.deepEqual(project?.metadata.labels, { l1: 'x', l2: 'x', l3: 'x' });
  assert.equal(project?.status.phase, 'Failed');
});
