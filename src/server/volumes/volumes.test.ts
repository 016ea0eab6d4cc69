import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf, projectOf } from '../../../test/support/objects/resources.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { ReportedVolume, VolumeObject } from '../../api/volume.ts';
import { systemRandom } from '../../base/random.ts';
import { Stopper } from '../../base/stopper.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { createMirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { startVolumes } from './start-volumes.ts';
import type { VolumeService } from './volume-service.ts';

const DATA: ReportedVolume = {
  name: 'cara_shop_data',
  project: 'shop',
  projectUid: 'u1',
  volume: 'data',
  type: 'Managed',
  madeAt: '2026-01-01T00:00:00.000Z',
};
const SHOP = projectOf('shop', { spec: { volumes: [{ name: 'data', type: 'Managed' }] }, status: { nodeRef: 'n1' } });

interface World extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly store: Store;
  readonly service: VolumeService;
  /** the records, by name */
  volumes(): Promise<ReadonlyMap<string, VolumeObject['status']>>;
}

async function startWorld(): Promise<World> {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const crashes: unknown[] = [];
  const stopper = new Stopper((_name, error) => crashes.push(error));
  const base = { store, clock, random: systemRandom, log: silentLog, stopper };
  const nodes = createMirror<NodeObject>({ ...base, kind: 'Node' });
  const projects = createMirror<ProjectObject>({ ...base, kind: 'Project' });
  stopper.spawn('nodes', (signal) => nodes.run(signal));
  stopper.spawn('projects', (signal) => projects.run(signal));
  const service = startVolumes({ ...base, nodes, projects });
  await store.commit([{ op: 'create', object: nodeOf('n1') }]);
  await service.report('n1', { volumes: [DATA] });
  await clock.advance(1000);
  return {
    clock,
    store,
    service,
    volumes: async () => new Map((await store.list<VolumeObject>('Volume')).items.map(({ metadata, status }) => [metadata.name, status])),
    [Symbol.asyncDispose]: async () => {
      await stopper.stop();
      assert.deepEqual(crashes, []);
      await store.close();
    },
  };
}

const NAME = 'n1/cara_shop_data';

test('report() writes what changed and nothing else, and takes another volume of the name for another', async () => {
  await using world = await startWorld();
  const version = await world.store.version();
  await world.service.report('n1', { volumes: [DATA] });
  assert.equal(await world.store.version(), version, 'the same again writes nothing');
  const before = await world.service.get('n1', DATA.name);
  await world.service.report('n1', { volumes: [{ ...DATA, madeAt: '2026-02-01T00:00:00.000Z' }] });
  assert.notEqual((await world.service.get('n1', DATA.name)).metadata.uid, before.metadata.uid);
  await world.service.report('n1', { volumes: [] });
  assert.equal((await world.volumes()).size, 0);
  await assert.rejects(world.service.report('n2', { volumes: [DATA] }), { reason: 'NodeDeleted' });
});

test('a deletion that no agent takes up is cancelled at its deadline, and cannot be begun any more', async () => {
  await using world = await startWorld();
  const { status } = await world.service.requestDeletion('n1', DATA.name);
  const id = status.deletion?.id ?? '';
  assert.equal((await world.service.requestDeletion('n1', DATA.name)).status.deletion?.id, id, 'asking again is the same request');
  await world.clock.advance(60_000);
  assert.equal((await world.volumes()).get(NAME)?.deletion?.state, 'Cancelled');
  await assert.rejects(world.service.updateDeletion('n1', DATA.name, { id, state: 'Removing' }), { status: 409 });
  const again = await world.service.requestDeletion('n1', DATA.name);
  assert.notEqual(again.status.deletion?.id, id);
});

test('a deletion that was begun ends as Failed when its agent does not answer; a late Done still counts', async () => {
  await using world = await startWorld();
  const id = (await world.service.requestDeletion('n1', DATA.name)).status.deletion?.id ?? '';
  const grant = await world.service.updateDeletion('n1', DATA.name, { id, state: 'Removing' });
  assert.equal(grant?.leftMs, 60_000);
  await world.clock.advance(30_000);
  const resumed = await world.service.updateDeletion('n1', DATA.name, { id, state: 'Removing' });
  assert.equal(resumed?.leftMs, 30_000, 'the agent that crashed may go on, no longer than before');
  await world.clock.advance(64_999);
  const { deletion } = (await world.volumes()).get(NAME) ?? {};
  assert.equal(deletion?.state, 'Failed');
  assert.match(String(deletion?.message), /began and did not say how it ended/u);
  await world.service.updateDeletion('n1', DATA.name, { id, state: 'Done' });
  assert.equal((await world.volumes()).size, 0);
});

test('what a Project uses, or one without a node may come to use, is not deleted; one elsewhere does not matter', async () => {
  await using world = await startWorld();
  const { service, store } = world;
  await store.commit([{ op: 'create', object: SHOP }]);
  await assert.rejects(service.requestDeletion('n1', DATA.name), { reason: 'InUse', message: /project "shop" uses it, which is on n1/u });
  const { nodeRef: _, ...pending } = SHOP.status;
  await store.commit([{ op: 'update', object: { ...SHOP, status: pending } as ProjectObject }]);
  await assert.rejects(service.requestDeletion('n1', DATA.name), { reason: 'InUse', message: /has no node yet and may come to n1/u });
  await store.commit([{ op: 'update', object: { ...SHOP, status: { ...SHOP.status, nodeRef: 'n2' } } as ProjectObject }]);
  const id = (await service.requestDeletion('n1', DATA.name)).status.deletion?.id ?? '';
  await store.commit([{ op: 'update', object: SHOP }]);
  await assert.rejects(service.updateDeletion('n1', DATA.name, { id, state: 'Removing' }), { reason: 'InUse' });
});

test('on a node that is NotReady nothing is asked for; a node that is deleted takes its records with it', async () => {
  await using world = await startWorld();
  await world.store.commit([{ op: 'update', object: nodeOf('n1', { state: 'NotReady', isSilent: true }) }]);
  await assert.rejects(world.service.requestDeletion('n1', DATA.name), {
    reason: 'NodeNotReady',
    message: /is NotReady since 2026-01-01/u,
  });
  assert.equal((await world.volumes()).get(NAME)?.deletion, undefined);
  await world.store.commit([{ op: 'delete', kind: 'Node', name: 'n1' }]);
  await world.clock.advance(1000);
  assert.equal((await world.volumes()).size, 0);
});
