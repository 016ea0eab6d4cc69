/** What agents hold since a restore: told, listed, adopted; and where a Project ran that had moved after the backup. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeldProject } from '../../src/api/project/held-project.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { CLUSTER_KIND, newClusterRecord, type ClusterRecord } from '../../src/server/cluster/cluster-record.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const EPOCH = 'epoch-1';
const BASE = 1_000_000;

async function startRestored(clock = new VirtualClock(), restoredMsAgo = 0): Promise<ApiServer<VirtualClock>> {
  const store = createMemoryStore({ clock });
  const at = new Date(clock.wallMs() - restoredMsAgo).toISOString();
  const record = newClusterRecord('cluster-1', at);
  const object = { ...record, epoch: { id: EPOCH, restoredAt: at, backupAt: at, assignmentBase: BASE } } as unknown as ClusterRecord;
  assert.equal(object.kind, CLUSTER_KIND);
  await store.commit([{ op: 'create', object }]);
  const api = await startApi({ clock, store });
  for (const name of ['n1', 'n2']) {
    await api.apply('Node', name);
    await api.beat(name, { allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } });
  }
  await clock.settle();
  return api;
}

function heldOf(
  project: Partial<ProjectObject['metadata']> & { readonly name: string },
  { assignment = 1, image = 'web:2' } = {},
): HeldProject {
  const { name, uid = `uid-of-${name}`, generation = 4 } = project;
  return {
    metadata: { name, uid, generation, labels: { zone: 'ed312' }, annotations: {}, createdAt: '2026-12-31T00:00:00.000Z' },
    spec: { services: [{ name: 'web', image }] } as HeldProject['spec'],
    assignment,
  };
}

const report = async (api: ApiServer, node: string, projects: readonly HeldProject[], epoch = EPOCH) =>
  await api.call('PUT', `/nodes/${node}/held-projects`, { body: { epoch, projects } });
const list = async (api: ApiServer): Promise<readonly string[]> =>
  ((await api.call('GET', '/held-projects')).body.items as readonly { project: string; node: string; reason: string }[]).map(
    ({ project, node, reason }) => `${project} ${node} ${reason}`,
  );
const find = async (api: ApiServer, name: string): Promise<ProjectObject> =>
  (await api.call('GET', `/projects/${name}`)).body as ProjectObject;

/** A Project that the scheduler has given a node. */
async function bound(api: ApiServer<VirtualClock>, name: string): Promise<ProjectObject> {
  await api.apply('Project', name, { spec: { services: [{ name: 'web', image: 'web:1' }] } });
  for (let turn = 0; turn < 50; turn += 1) {
    const project = await find(api, name);
    if (project.status.nodeRef !== undefined) {
      return project;
    }
    await api.clock.advance(20);
  }
  throw new Error('it found no node');
}

/** As a backup has it. */
async function putBack(api: ApiServer, assignment: number): Promise<void> {
  const [stored] = (await api.store.list<ProjectObject>('Project')).items;
  assert.ok(stored);
  const object: ProjectObject = { ...stored, status: { ...stored.status, assignment } };
  await api.store.commit([{ op: 'update', object }]);
}

describe('held projects', () => {
  it('one that the restored state does not know is listed, and adopted as it runs: same uid, spec, node and assignment', async () => {
    await using api = await startRestored();
    assert.equal((await report(api, 'n1', [heldOf({ name: 'shop' }, { assignment: 7 })])).status, 204);
    assert.deepEqual(await list(api), ['shop n1 Unknown']);
    const { status, body } = await api.call('POST', '/nodes/n1/held-projects/shop/adopt');
    assert.equal(status, 200);
    const { metadata, spec, status: now } = body as ProjectObject;
    assert.deepEqual([metadata.uid, metadata.generation, metadata.labels], ['uid-of-shop', 4, { zone: 'ed312' }]);
    assert.deepEqual([spec.services[0]?.image, now.nodeRef, now.assignment, now.phase], ['web:2', 'n1', 7, 'Scheduled']);
    assert.deepEqual(await list(api), []);
    assert.equal((await api.call('POST', '/nodes/n1/held-projects/shop/adopt')).status, 404);
    const reported = await api.call('PATCH', '/projects/shop/status', {
      body: { phase: 'Running', assignment: 7, observedGeneration: 4, epoch: EPOCH },
    });
    assert.equal(reported.status, 204);
    assert.equal((await find(api, 'shop')).status.phase, 'Running');
  });

  it('one with a newer spec takes the place of the restored one, under a generation above both', async () => {
    await using api = await startRestored();
    const known = await bound(api, 'shop');
    const node = known.status.nodeRef ?? '';
    await report(api, node, [heldOf({ name: 'shop', uid: known.metadata.uid, generation: 1 }, { assignment: known.status.assignment })]);
    assert.deepEqual(await list(api), [`shop ${node} Newer`]);
    const { body } = await api.call('POST', `/nodes/${node}/held-projects/shop/adopt`);
    assert.deepEqual(
      [body.metadata.generation, body.spec.services[0].image, body.status.assignment],
      [2, 'web:2', known.status.assignment],
    );
  });

  it('one that had moved after the backup is bound to where it runs at once; what was placed after the restore stays', async () => {
    await using api = await startRestored();
    const known = await bound(api, 'moved');
    const other = known.status.nodeRef === 'n1' ? 'n2' : 'n1';
    assert.ok(known.status.assignment > BASE, 'numbers go on above the base');
    await report(api, other, [heldOf({ name: 'moved', uid: known.metadata.uid }, { assignment: 9 })]);
    assert.equal((await find(api, 'moved')).status.nodeRef, known.status.nodeRef);
    await putBack(api, 3);
    await report(api, other, [heldOf({ name: 'moved', uid: known.metadata.uid }, { assignment: 10 })]);
    const { nodeRef, assignment } = (await find(api, 'moved')).status;
    assert.deepEqual([nodeRef, assignment], [other, 10]);
  });

  it('a long time after the restore a node’s word moves nothing to it any more', async () => {
    await using api = await startRestored(new VirtualClock(), 2 * 3_600_000);
    const known = await bound(api, 'moved');
    await putBack(api, 3);
    const other = known.status.nodeRef === 'n1' ? 'n2' : 'n1';
    await report(api, other, [heldOf({ name: 'moved', uid: known.metadata.uid }, { assignment: 10 })]);
    assert.equal((await find(api, 'moved')).status.nodeRef, known.status.nodeRef);
    assert.deepEqual(await list(api), [`moved ${other} Elsewhere`]);
  });

  it('is refused where the name is another Project’s, the node is unknown, or the agent speaks of another epoch', async () => {
    await using api = await startRestored();
    await bound(api, 'shop');
    await report(api, 'n1', [heldOf({ name: 'shop', uid: 'another' })]);
    assert.deepEqual(await list(api), ['shop n1 Recreated']);
    const conflict = await api.call('POST', '/nodes/n1/held-projects/shop/adopt');
    assert.equal(conflict.status, 409);
    assert.match(conflict.body.detail, /the name is another Project's now, delete that one first/u);
    assert.equal((await report(api, 'nowhere', [])).status, 410);
    assert.equal((await report(api, 'n1', [], 'another')).status, 409);
    assert.equal((await api.call('POST', '/nodes/nowhere/held-projects/shop/adopt')).status, 404);
    assert.equal((await api.call('PUT', '/nodes/n1/held-projects', { body: { epoch: EPOCH, projects: [{}] } })).status, 400);
    assert.equal((await report(api, 'n1', [])).status, 204);
    assert.deepEqual(await list(api), [], 'what is held no more is forgotten');
  });

  it('a report on a Project from before the restore is to be tried again: it says nothing of the present assignment', async () => {
    await using api = await startRestored();
    const known = await bound(api, 'shop');
    const send = async (epoch: string | undefined) =>
      await api.call('PATCH', '/projects/shop/status', {
        body: { phase: 'Running', assignment: 1, uid: known.metadata.uid, ...(epoch !== undefined && { epoch }) },
      });
    const early = await send('');
    assert.deepEqual([early.status, early.body.reason], [409, 'Conflict']);
    assert.equal((await send(EPOCH)).body.reason, 'StaleAssignment');
    assert.equal((await send(undefined)).body.reason, 'StaleAssignment', 'an agent that knows of no epochs');
  });
});
