import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProjectObject } from '../../src/api/project.ts';
import { manifestOf, MERGE, startApi, type ApiServer } from '../support/worlds/api.ts';
import type { VirtualClock } from '../support/time/virtual-clock.ts';

const CAPACITY = { cpu: '4', memory: '8Gi', disk: '100Gi' };

async function addNode(api: ApiServer<VirtualClock>, name: string): Promise<void> {
  await api.call('POST', `/nodes/${name}/register`, { body: {} });
  await api.beat(name, { capacity: CAPACITY, allocatable: CAPACITY });
  await api.clock.advance(100);
}

async function project(api: ApiServer, name: string): Promise<ProjectObject> {
  return (await api.call('GET', `/projects/${name}`)).body as ProjectObject;
}

async function report(api: ApiServer, name: string, body: object): Promise<number> {
  return (await api.call('PATCH', `/projects/${name}/status`, { body })).status;
}

const SERVICE = { name: 'web', state: 'Running', ready: true };

describe('projects', () => {
  test('wait for a node, are scheduled to one, run, are deleted, and are gone when the agent says so', async () => {
    await using api = await startApi();
    const created = await api.apply('Project', 'shop');
    assert.deepEqual([created.status, created.headers['cara-result'], created.body.status.phase], [201, 'created', 'Pending']);
    await api.clock.advance(100);
    assert.match((await project(api, 'shop')).status.conditions[0]?.message ?? '', /no nodes are registered/u);
    await addNode(api, 'worker-01');
    const scheduled = await project(api, 'shop');
    assert.deepEqual([scheduled.status.phase, scheduled.status.nodeRef, scheduled.status.assignment], ['Scheduled', 'worker-01', 1]);
    assert.equal(await report(api, 'shop', { phase: 'Running', assignment: 1, observedGeneration: 1, services: [SERVICE] }), 204);
    assert.equal((await project(api, 'shop')).status.phase, 'Running');
    assert.equal(await report(api, 'shop', { phase: 'Running', assignment: 7 }), 409);
    const deleted = await api.call('DELETE', '/projects/shop');
    assert.deepEqual([deleted.status, deleted.body.status.phase], [202, 'Terminating']);
    assert.equal(await report(api, 'shop', { phase: 'Terminated', assignment: 1, services: [] }), 204);
    await api.clock.advance(500);
    assert.equal((await api.call('GET', '/projects/shop')).status, 404);
    assert.equal(await report(api, 'shop', { phase: 'Terminated' }), 404);
  });

  test('without a node, or with force, deletion is at once', async () => {
    await using api = await startApi();
    await api.apply('Project', 'pending');
    assert.equal((await api.call('DELETE', '/projects/pending')).status, 204);
    await addNode(api, 'worker-01');
    await api.apply('Project', 'shop');
    await api.clock.advance(100);
    assert.equal((await api.call('DELETE', '/projects/shop?force=true')).status, 204);
    assert.equal((await api.call('DELETE', '/projects/shop')).status, 404);
    assert.equal((await api.call('DELETE', '/projects/shop?force=perhaps')).status, 400);
  });

  test('apply merges labels, replaces spec, and says unchanged', async () => {
    await using api = await startApi();
    await api.apply('Project', 'shop', { metadata: { labels: { tier: 'web' } } });
    const same = await api.apply('Project', 'shop', { metadata: { labels: { tier: 'web' } } });
    assert.equal(same.headers['cara-result'], 'unchanged');
    const spec = { services: [{ name: 'web', image: 'shop/web:4' }] };
    const changed = await api.apply('Project', 'shop', { metadata: { labels: { zone: 'x' } }, spec });
    assert.equal(changed.headers['cara-result'], 'configured');
    assert.deepEqual(changed.body.metadata.labels, { tier: 'web', zone: 'x' });
    assert.deepEqual(changed.body.spec, spec);
    assert.equal(changed.body.metadata.generation, 2);
    const patched = await api.call('PATCH', '/projects/shop', { body: { metadata: { labels: { zone: null } } }, type: MERGE });
    assert.deepEqual(patched.body.metadata.labels, { tier: 'web' });
    assert.equal((await api.call('PUT', '/projects/shop', { body: manifestOf('Project', 'shop') })).body.metadata.generation, 3);
    assert.equal((await api.call('POST', '/projects', { body: manifestOf('Project', 'shop') })).status, 409);
  });

  test('lists are filtered by phases and by node', async () => {
    await using api = await startApi();
    await addNode(api, 'worker-01');
    await api.apply('Project', 'a');
    await api.apply('Project', 'b');
    const never = { services: [{ name: 'web', image: 'a:1' }], nodeSelector: { zone: 'nowhere' } };
    await api.apply('Project', 'c', { spec: never });
    await api.clock.advance(200);
    await report(api, 'a', { phase: 'Running', assignment: 1, observedGeneration: 1, services: [SERVICE] });
    const names = async (query: string): Promise<string> =>
      ((await api.call('GET', `/projects?${query}`)).body.items as ProjectObject[]).map(({ metadata }) => metadata.name).join('');
    assert.equal(await names(''), 'abc');
    assert.equal(await names('phase=Running'), 'a');
    assert.equal(await names('phase=Running&phase=Pending'), 'ac');
    assert.equal(await names('nodeRef=worker-01'), 'ab');
    assert.equal(await names('nodeRef=worker-01&phase=Scheduled'), 'b');
    const wrong = await api.call('GET', '/projects?phase=Banana');
    assert.deepEqual([wrong.status, wrong.body.errors[0].pointer], [400, '/phase/0']);
  });

  test('a cordon leaves no window: what is applied after its answer does not land on the node', async () => {
    await using api = await startApi();
    await addNode(api, 'worker-01');
    await api.apply('Node', 'worker-01', { spec: { unschedulable: true } });
    await api.apply('Project', 'shop');
    await api.clock.advance(1000);
    assert.equal((await project(api, 'shop')).status.phase, 'Pending');
  });

  test('of a deleted node become Failed with NodeLost once its heartbeats have been gone for the timeout', async () => {
    await using api = await startApi();
    await addNode(api, 'worker-01');
    const spec = { services: [{ name: 'web', image: 'a:1' }], onNodeLost: { action: 'Keep' } };
    await api.apply('Project', 'shop', { spec });
    await api.clock.advance(100);
    await report(api, 'shop', { phase: 'Running', assignment: 1, observedGeneration: 1, services: [SERVICE] });
    await api.call('DELETE', '/nodes/worker-01');
    await api.clock.advance(60_000);
    assert.equal((await project(api, 'shop')).status.phase, 'Running');
    await api.clock.advance(60_000);
    const { phase, reason } = (await project(api, 'shop')).status;
    assert.deepEqual([phase, reason], ['Failed', 'NodeLost']);
  });
});
