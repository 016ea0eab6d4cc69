import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BACKENDS } from '../support/stores/store-backends.ts';
import { manifestOf, MERGE, startApi, type ApiServer } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const LABELLED = {
  metadata: { labels: { 'caravanserai.io/zone': 'ed312' }, annotations: { owner: 'ops' } },
  spec: { hostname: 'worker-01.local', unschedulable: false },
};

for (const { name: backendName, create } of BACKENDS) {
  const withApi = async (body: (api: ApiServer<VirtualClock>) => Promise<void>): Promise<void> => {
    await using backend = await create();
    const clock = new VirtualClock();
    const store = await backend.open({ clock });
    try {
      await using api = await startApi({ clock, store });
      await body(api);
    } finally {
      await store.close();
    }
  };

  describe(`nodes on ${backendName}`, () => {
    test('POST creates with defaults, and refuses a name that is taken', () =>
      withApi(async (api) => {
        const created = await api.call('POST', '/nodes', { body: manifestOf('Node', 'worker-01', LABELLED) });
        assert.equal(created.status, 201);
        assert.equal(created.headers.location, '/api/v1/nodes/worker-01');
        const { metadata, spec, status } = created.body;
        assert.deepEqual(metadata.labels, LABELLED.metadata.labels);
        assert.equal(metadata.generation, 1);
        assert.equal(metadata.createdAt, metadata.updatedAt);
        assert.deepEqual(spec, LABELLED.spec);
        assert.equal(status.state, 'NotReady');
        assert.deepEqual((await api.call('GET', '/nodes/worker-01')).body, created.body);
        const again = await api.call('POST', '/nodes', { body: manifestOf('Node', 'worker-01') });
        assert.equal(again.status, 409);
        assert.equal(again.body.reason, 'AlreadyExists');
      }));

    test('PUT replaces what it leaves out, and checks resourceVersion where given', () =>
      withApi(async (api) => {
        const { body: created } = await api.call('POST', '/nodes', { body: manifestOf('Node', 'worker-01', LABELLED) });
        const bare = { metadata: { resourceVersion: created.metadata.resourceVersion }, spec: { unschedulable: true } };
        const replaced = await api.call('PUT', '/nodes/worker-01', { body: manifestOf('Node', 'worker-01', bare) });
        assert.equal(replaced.status, 200);
        assert.deepEqual(replaced.body.metadata.labels, {});
        assert.deepEqual(replaced.body.spec, { unschedulable: true });
        assert.equal(replaced.body.metadata.generation, 2);
        assert.equal(replaced.body.metadata.uid, created.metadata.uid);
        const stale = await api.call('PUT', '/nodes/worker-01', { body: manifestOf('Node', 'worker-01', bare) });
        assert.equal(stale.status, 409);
        assert.equal(stale.body.reason, 'Conflict');
        assert.match(stale.body.detail, new RegExp(`current is ${replaced.body.metadata.resourceVersion}`, 'u'));
        assert.equal((await api.call('PUT', '/nodes/nobody', { body: manifestOf('Node', 'nobody') })).status, 404);
      }));

    test('merge patch changes what it names, null removes, and resourceVersion is checked where given', () =>
      withApi(async (api) => {
        await api.call('POST', '/nodes', { body: manifestOf('Node', 'worker-01', LABELLED) });
        const patch = { metadata: { labels: { tier: 'edge', 'caravanserai.io/zone': null } }, spec: { unschedulable: true } };
        const patched = await api.call('PATCH', '/nodes/worker-01', { body: patch, type: MERGE });
        assert.equal(patched.status, 200);
        assert.deepEqual(patched.body.metadata.labels, { tier: 'edge' });
        assert.deepEqual(patched.body.metadata.annotations, { owner: 'ops' });
        assert.deepEqual(patched.body.spec, { hostname: 'worker-01.local', unschedulable: true });
        const stale = await api.call('PATCH', '/nodes/worker-01', { body: { metadata: { resourceVersion: '1' } }, type: MERGE });
        assert.equal(stale.status, 409);
        const renamed = await api.call('PATCH', '/nodes/worker-01', { body: { metadata: { name: 'other' } }, type: MERGE });
        assert.equal(renamed.status, 400);
        assert.equal(renamed.body.errors[0].pointer, '/metadata/name');
        const nameless = await api.call('PATCH', '/nodes/worker-01', { body: { metadata: null }, type: MERGE });
        assert.equal(nameless.status, 400);
        assert.equal((await api.call('PATCH', '/nodes/worker-01', { body: [], type: MERGE })).status, 400);
        assert.equal((await api.call('PATCH', '/nodes/nobody', { body: {}, type: MERGE })).status, 404);
      }));

    test('apply creates, configures, and leaves unchanged what is so already', () =>
      withApi(async (api) => {
        const created = await api.apply('Node', 'worker-01', LABELLED);
        assert.deepEqual([created.status, created.headers['cara-result']], [201, 'created']);
        const same = await api.apply('Node', 'worker-01', LABELLED);
        assert.deepEqual([same.status, same.headers['cara-result']], [200, 'unchanged']);
        assert.equal(same.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
        const changed = await api.apply('Node', 'worker-01', { metadata: { labels: { tier: 'edge' }, annotations: { owner: null } } });
        assert.deepEqual([changed.status, changed.headers['cara-result']], [200, 'configured']);
        assert.deepEqual(changed.body.metadata.labels, { 'caravanserai.io/zone': 'ed312', tier: 'edge' });
        assert.deepEqual(changed.body.metadata.annotations, {});
        assert.equal(changed.body.metadata.generation, 1);
        const nameless = await api.apply('Node', 'worker-01', { spec: { hostname: null } });
        assert.deepEqual(nameless.body.spec, { unschedulable: false });
      }));

    test("the guide's drain manifest keeps hostname and labels, and the state is Draining in the same write", () =>
      withApi(async (api) => {
        await api.apply('Node', 'worker-01', LABELLED);
        await api.beat('worker-01');
        await api.clock.advance(50);
        const before = await api.node('worker-01');
        assert.equal(before.status.state, 'Ready');
        const drained = await api.apply('Node', 'worker-01', { spec: { unschedulable: true } });
        assert.equal(drained.body.status.state, 'Draining');
        assert.deepEqual(drained.body.spec, { hostname: 'worker-01.local', unschedulable: true });
        assert.deepEqual(drained.body.metadata.labels, before.metadata.labels);
        assert.equal(Number(drained.body.metadata.resourceVersion), Number(before.metadata.resourceVersion) + 1);
        const back = await api.apply('Node', 'worker-01', { spec: { unschedulable: false } });
        assert.equal(back.body.status.state, 'Ready');
      }));

    test('status in a manifest is ignored with a warning', () =>
      withApi(async (api) => {
        const forged = { status: { state: 'Ready', capacity: { cpu: '64' } } };
        const created = await api.apply('Node', 'worker-01', forged);
        assert.equal(created.body.status.state, 'NotReady');
        assert.equal(created.body.status.capacity, undefined);
        assert.match(String(created.headers['warning']), /^299 - ".*status.*"$/u);
        assert.equal((await api.apply('Node', 'worker-01')).headers['warning'], undefined);
      }));

    test('path and manifest must name the same node', () =>
      withApi(async (api) => {
        const answer = await api.call('PUT', '/nodes/worker-01', { body: manifestOf('Node', 'worker-02') });
        assert.equal(answer.status, 400);
        assert.deepEqual(answer.body.errors[0].pointer, '/metadata/name');
      }));

    test('concurrent patches of one node all land', () =>
      withApi(async (api) => {
        await api.apply('Node', 'worker-01');
        const labels = Array.from({ length: 12 }, (_, n) => `label-${n}`);
        const answers = await Promise.all(
          labels.map((label) => api.call('PATCH', '/nodes/worker-01', { body: { metadata: { labels: { [label]: 'x' } } }, type: MERGE })),
        );
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
        assert.deepEqual(Object.keys((await api.node('worker-01')).metadata.labels).toSorted(), labels.toSorted());
      }));

    test('concurrent applies of one new node create it once', () =>
      withApi(async (api) => {
        const answers = await Promise.all(Array.from({ length: 6 }, () => api.apply('Node', 'worker-01')));
        const results = answers.map(({ headers }) => headers['cara-result']);
        assert.deepEqual(
          results.filter((result) => result !== 'unchanged'),
          ['created'],
        );
      }));

    test('lists are sorted, selected by labels, and paged stably while nodes come and go', () =>
      withApi(async (api) => {
        for (const [index, name] of ['e', 'c', 'a', 'd', 'b'].entries()) {
          await api.apply('Node', name, { metadata: { labels: index % 2 === 0 ? { zone: 'x' } : {} } });
        }
        const names = (answer: { body: { items: { metadata: { name: string } }[] } }): string =>
          answer.body.items.map(({ metadata }) => metadata.name).join('');
        const all = await api.call('GET', '/nodes');
        assert.equal(all.body.kind, 'NodeList');
        assert.equal(names(all), 'abcde');
        assert.equal(names(await api.call('GET', '/nodes?labelSelector=zone%3Dx')), 'abe');
        assert.equal(names(await api.call('GET', '/nodes?labelSelector=!zone')), 'cd');
        const first = await api.call('GET', '/nodes?limit=2');
        assert.equal(names(first), 'ab');
        await api.call('DELETE', '/nodes/b');
        await api.apply('Node', 'bb');
        const token = first.body.metadata.continue;
        const second = await api.call('GET', `/nodes?limit=2&continue=${token}`);
        assert.equal(names(second), 'bbc');
        assert.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
        const last = await api.call('GET', `/nodes?limit=2&continue=${second.body.metadata.continue}`);
        assert.equal(names(last), 'de');
        assert.equal(last.body.metadata.continue, undefined);
        assert.equal((await api.call('GET', '/nodes?continue=nonsense')).status, 400);
        assert.equal((await api.call('GET', '/nodes?limit=0')).status, 400);
        assert.equal((await api.call('GET', '/nodes?colour=red')).body.errors[0].pointer, '/colour');
        assert.equal((await api.call('GET', '/nodes?labelSelector=a%20b%20c')).status, 400);
      }));

    test('DELETE gives the last state, then 404', () =>
      withApi(async (api) => {
        await api.apply('Node', 'worker-01', LABELLED);
        const deleted = await api.call('DELETE', '/nodes/worker-01');
        assert.equal(deleted.status, 200);
        assert.equal(deleted.body.metadata.name, 'worker-01');
        assert.equal((await api.call('GET', '/nodes/worker-01')).status, 404);
        const again = await api.call('DELETE', '/nodes/worker-01');
        assert.equal(again.status, 404);
        assert.match(again.body.detail, /"worker-01"/u);
      }));
  });
}
