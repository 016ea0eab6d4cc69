/** Compare-and-set over HTTP: a write that names a version happens only at that version, and a refusal says what has changed since. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startApi, APPLY, MERGE } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const KINDS = {
  nodes: {
    kind: 'Node',
    before: { spec: { hostname: 'a.local', unschedulable: false } },
    other: { spec: { unschedulable: true }, metadata: { labels: { zone: 'ed312' } } },
    changed: ['/metadata/labels/zone', '/spec/unschedulable'],
  },
  projects: {
    kind: 'Project',
    before: { spec: { services: [{ name: 'web', image: 'web:1' }] } },
    other: { spec: { services: [{ name: 'web', image: 'web:2' }] } },
    changed: ['/spec/services/0/image'],
  },
  secrets: {
    kind: 'Secret',
    before: { stringData: { password: 'old' } },
    other: { stringData: { password: 'new one' } },
    changed: ['/data/password'],
  },
} as const;

for (const [plural, { kind, before, other, changed }] of Object.entries(KINDS)) {
  describe(`a write of ${plural} that names a resourceVersion`, () => {
    const manifest = (version: string | undefined, rest: object): object => {
      const { metadata, ...content } = rest as { readonly metadata?: object };
      return {
        apiVersion: 'caravanserai/v1',
        kind,
        ...content,
        metadata: { name: 'a', ...metadata, ...(version !== undefined && { resourceVersion: version }) },
      };
    };
    for (const [way, method, type] of [
      ['PUT', 'PUT', 'application/json'],
      ['a merge patch', 'PATCH', MERGE],
      ['an apply patch', 'PATCH', APPLY],
    ] as const) {
      it(`goes through by ${way} at that version alone; a refusal names the fields that have changed since`, async () => {
        await using api = await startApi({ clock: new VirtualClock() });
        const created = await api.call('POST', `/${plural}`, { body: manifest(undefined, before) });
        assert.equal(created.status, 201);
        const readVersion = async (): Promise<string> => {
          await api.clock.settle(); // the scheduler has its word on a Project too
          return (await api.call('GET', `/${plural}/a`)).body.metadata.resourceVersion as string;
        };
        const resourceVersion = await readVersion();
        const write = (version: string, rest: object) =>
          api.call(method, `/${plural}/a`, {
            body: method === 'PATCH' && type === MERGE ? { ...rest, metadata: { resourceVersion: version } } : manifest(version, rest),
            type,
          });
        const through = await api.call('PATCH', `/${plural}/a`, { body: manifest(resourceVersion, other), type: APPLY });
        assert.equal(through.status, 200);
        const refused = await write(resourceVersion, before);
        assert.equal(refused.status, 409);
        assert.equal(refused.body.reason, 'Conflict');
        assert.match(
          refused.body.detail,
          /names resourceVersion \d+, current is \d+; read it again, or leave resourceVersion out: .* changed since$/u,
        );
        const pointers: readonly string[] = refused.body.errors.map(({ pointer }: { readonly pointer: string }) => pointer);
        assert.equal(pointers[0], '/metadata/resourceVersion');
        assert.deepEqual(pointers.filter((pointer) => !pointer.startsWith('/status')).slice(1), changed);
        assert.doesNotMatch(JSON.stringify(refused.body), /new one|old/u);
        assert.equal((await write(await readVersion(), before)).status, 200);
      });
    }

    it('is no creation: an apply to what is gone is refused, and nothing is made', async () => {
      await using api = await startApi({ clock: new VirtualClock() });
      const answer = await api.call('PATCH', `/${plural}/a`, { body: manifest('7', before), type: APPLY });
      assert.deepEqual([answer.status, answer.body.reason], [409, 'Conflict']);
      assert.equal((await api.call('GET', `/${plural}/a`)).status, 404);
    });

    it('says so where the object was deleted and made anew', async () => {
      await using api = await startApi({ clock: new VirtualClock() });
      const created = await api.call('POST', `/${plural}`, { body: manifest(undefined, before) });
      await api.call('DELETE', `/${plural}/a${plural === 'projects' ? '?force=true' : ''}`);
      await api.call('POST', `/${plural}`, { body: manifest(undefined, before) });
      const answer = await api.call('PUT', `/${plural}/a`, { body: manifest(created.body.metadata.resourceVersion, before) });
      assert.equal(answer.status, 409);
      assert.match(answer.body.detail, /it was deleted since, and made anew$/u);
    });
  });
}

it('a version that the server never gave, or no longer remembers, is refused all the same', async () => {
  await using api = await startApi({ clock: new VirtualClock() });
  await api.apply('Node', 'a');
  for (const resourceVersion of ['0', '999999', 'Banana']) {
    const body = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'a', resourceVersion }, spec: {} };
    const { status } = await api.call('PUT', '/nodes/a', { body });
    assert.ok(status === 409 || status === 400, `${resourceVersion}: ${status}`);
  }
});
