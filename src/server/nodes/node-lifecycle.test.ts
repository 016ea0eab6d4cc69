import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../api/errors.ts';
import type { Heartbeat, NodeObject } from '../../api/node.ts';
import { createMetrics } from '../../base/metrics.ts';
import { systemRandom } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import type { Draft, Store } from '../../store/store.ts';
import { wrapped } from '../../../test/support/stores/wrapped-store.ts';
import { nodeOf } from '../../../test/support/objects/resources.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { createNodeLifecycle } from './node-lifecycle.ts';
import { NodeRegistry } from './node-registry.ts';

const NAMES = ['a', 'b', 'c'];
const decode = (text: string): Heartbeat => JSON.parse(text) as Heartbeat;

/** A lifecycle over three silent nodes; `commit` stands before the store's own. */
async function startLifecycle(commit: (store: Store, ...args: Parameters<Store['commit']>) => ReturnType<Store['commit']>) {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const wakeup = new Wakeup();
  const registry = new NodeRegistry({ clock, random: systemRandom, heartbeatTimeoutMs: 90_000, onDirty: () => wakeup.notify() });
  const drafts = NAMES.map((name): Draft<NodeObject> => nodeOf(name, { state: 'NotReady', isSilent: true }));
  const stored = await store.commit(drafts.map((object) => ({ op: 'create', object })));
  stored.forEach((node) => registry.observe(node as NodeObject));
  const metrics = createMetrics();
  const lifecycle = createNodeLifecycle({
    store: { ...wrapped(store), commit: (writes) => commit(store, writes) },
    registry,
    wakeup,
    clock,
    random: systemRandom,
    log: silentLog,
    metrics,
  });
  const ended = new AbortController();
  const running = lifecycle.run(ended.signal).catch((error: unknown) => {
    if (!ended.signal.aborted) {
      throw error;
    }
  });
  const stop = async (): Promise<void> => {
    ended.abort(new Error('stopping'));
    await running;
    metrics.close();
  };
  const states = async (): Promise<string> => (await store.list<NodeObject>('Node')).items.map(({ status }) => status.state).join(' ');
  const beatAll = (): void => NAMES.forEach((name) => registry.recordHeartbeat(name, '{"capacity":{"cpu":"4"}}', decode));
  return { clock, store, registry, states, beatAll, stop };
}

test("a node that somebody else has written meanwhile is derived again from what they wrote, and holds up no other's status", async () => {
  let isFirst = true;
  const { clock, store, states, beatAll, stop } = await startLifecycle(async (inner, writes) => {
    if (isFirst) {
      isFirst = false;
      const b = await inner.get<NodeObject>('Node', 'b');
      const c = await inner.get<NodeObject>('Node', 'c');
      assert.ok(b !== undefined && c !== undefined);
      const cordoned = { ...b, spec: { unschedulable: true } };
      await inner.commit([
        { op: 'update', object: cordoned },
        { op: 'delete', kind: 'Node', name: 'c' },
      ]);
    }
    return inner.commit(writes);
  });
  beatAll();
  await clock.advance(100);
  assert.equal(await states(), 'Ready Draining');
  const b = await store.get<NodeObject>('Node', 'b');
  assert.deepEqual([b?.spec.unschedulable, b?.status.capacity], [true, { cpu: '4' }]);
  await stop();
});

test('what is dirty at the stop is still written', async () => {
  const { states, beatAll, stop } = await startLifecycle((store, writes) => store.commit(writes));
  beatAll();
  await stop();
  assert.equal(await states(), 'Ready Ready Ready');
});

test('what comes after a long write waits a little for the next, not for as long again', async () => {
  const slow = Promise.withResolvers<void>();
  const waits = [slow.promise];
  const { clock, registry, states, stop } = await startLifecycle(async (store, writes) => {
    await waits.pop();
    return store.commit(writes);
  });
  registry.recordHeartbeat('a', '{}', decode);
  await clock.advance(500);
  slow.resolve();
  await clock.advance(1);
  assert.equal(await states(), 'Ready NotReady NotReady');
  registry.recordHeartbeat('b', '{}', decode);
  await clock.advance(30);
  assert.equal(await states(), 'Ready Ready NotReady');
  await stop();
});

test('while the store cannot write, nothing is lost, and it is tried again', async () => {
  let failures = 3;
  const { clock, states, beatAll, stop } = await startLifecycle(async (store, writes) => {
    failures -= 1;
    if (failures >= 0) {
      throw new ApiError('Unavailable', 'Cannot write as the disk is full');
    }
    return store.commit(writes);
  });
  beatAll();
  await clock.advance(10_000);
  assert.equal(await states(), 'Ready Ready Ready');
  await stop();
});
