import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../base/random.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { wrapped } from '../../../test/support/stores/wrapped-store.ts';
import { NodeRegistry } from './node-registry.ts';
import { createNodeService } from './node-service.ts';
import { newTombstone, TOMBSTONE_KIND } from './tombstones.ts';

const MANIFEST = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'a' } } as const;

/** A service in whose next commit somebody else comes first: `cutIn` runs before it. */
function setUp() {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const registry = new NodeRegistry({ clock, random: systemRandom, heartbeatTimeoutMs: 90_000, onDirty: () => undefined });
  const shared = { registry, clock, random: systemRandom, log: silentLog, heartbeatTimeoutMs: 90_000 };
  const other = createNodeService({ ...shared, store });
  let cutIn: (() => Promise<unknown>) | undefined;
  const service = createNodeService({
    ...shared,
    store: {
      ...wrapped(store),
      commit: async (writes) => {
        const act = cutIn;
        cutIn = undefined;
        await act?.();
        return await store.commit(writes);
      },
    },
  });
  return {
    store,
    service,
    /** Somebody makes the node, and somebody deletes it, between what the next call reads and what it writes. */
    makeAndDeleteFirst: () => {
      cutIn = async () => {
        await other.create(MANIFEST);
        await other.delete('a');
      };
    },
    hasTombstone: async () => (await store.get(TOMBSTONE_KIND, 'a')) !== undefined,
  };
}

test('register() sees a deletion that comes between its look and its write', async () => {
  const world = setUp();
  world.makeAndDeleteFirst();
  await assert.rejects(world.service.register('a', { renewal: true }), { reason: 'NodeDeleted' });
  assert.deepEqual([await world.store.get('Node', 'a'), await world.hasTombstone()], [undefined, true]);
  world.makeAndDeleteFirst();
  await world.service.register('a', {});
  assert.equal(await world.hasTombstone(), false, 'an agent’s start clears it');
});

test('create() leaves no tombstone beside the node, whoever deletes one meanwhile, and delete() works on', async () => {
  const world = setUp();
  world.makeAndDeleteFirst();
  await world.service.create(MANIFEST);
  assert.equal(await world.hasTombstone(), false);
  await world.store.commit([{ op: 'create', object: newTombstone('a', { uid: 'u', now: '2026-01-01T00:00:00Z', boots: [] }) }]);
  await world.service.delete('a');
  assert.deepEqual([await world.store.get('Node', 'a'), await world.hasTombstone()], [undefined, true]);
});
