/** When silent nodes are told to be NotReady, on a virtual clock: never before their timeout, and within a second of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeObject } from '../../src/api/node.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { nodeOf } from '../support/objects/resources.ts';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const TIMEOUT_MS = 90_000;
const INTERVAL_MS = 30_000;
const BEAT = '{"conditions":[{"type":"DiskPressure","status":"False","reason":"EnoughDisk"}]}';

/** A fleet whose heartbeats are spread over an interval, each node beating `beats` times; with a watcher that notes when it is told. */
async function startFleet(count: number) {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const names = Array.from({ length: count }, (_, index) => `node-${index}`);
  await store.commit(names.map((name) => ({ op: 'create', object: nodeOf(name, { state: 'NotReady', isSilent: true }) })));
  const api = await startApi({ clock, store });
  const toldAtMs = new Map<string, number>();
  const ended = new AbortController();
  const watching = (async () => {
    for await (const item of store.watch<NodeObject>('Node', count, ended.signal)) {
      if (item.type === 'MODIFIED' && item.object.status.state === 'NotReady') {
        assert.ok(!toldAtMs.has(item.object.metadata.name), 'told once');
        toldAtMs.set(item.object.metadata.name, clock.monotonicMs());
      }
    }
  })();
  const beat = (name: string): void => void api.server.registry.recordHeartbeat(name, BEAT, (text) => JSON.parse(text) as object);
  return {
    api,
    clock,
    names,
    toldAtMs,
    beat,
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await watching;
      await api[Symbol.asyncDispose]();
      await store.close();
    },
  };
}

async function countNotReady(api: ApiServer): Promise<number> {
  const { body } = await api.call('GET', '/nodes?limit=10000');
  return (body.items as readonly NodeObject[]).filter(({ status }) => status.state === 'NotReady').length;
}

for (const count of [1, 2000]) {
  test(`of ${count} nodes that fall silent one after the other, each is told in its turn`, async () => {
    await using fleet = await startFleet(count);
    const { clock, names, toldAtMs, beat } = fleet;
    const deadlines = new Map<string, number>();
    for (let round = 0; round < 2; round += 1) {
      for (const [index, name] of names.entries()) {
        beat(name);
        deadlines.set(name, clock.monotonicMs() + TIMEOUT_MS);
        if (index % 20 === 19) {
          await clock.advance((INTERVAL_MS * 20) / count);
        }
      }
    }
    assert.equal(toldAtMs.size, 0);
    await clock.advance(TIMEOUT_MS + INTERVAL_MS);
    assert.equal(toldAtMs.size, count);
    for (const [name, atMs] of toldAtMs) {
      const lateMs = atMs - (deadlines.get(name) ?? Number.NaN);
      assert.ok(lateMs >= 0 && lateMs <= 1000, `${name} was told ${lateMs} ms after its timeout`);
    }
  });

  test(`of ${count} nodes that fall silent at one instant, each is told within a second, and read as NotReady at once`, async () => {
    await using fleet = await startFleet(count);
    const { api, clock, names, toldAtMs, beat } = fleet;
    names.forEach(beat);
    await clock.advance(TIMEOUT_MS - 1);
    assert.deepEqual([toldAtMs.size, await countNotReady(api)], [0, 0]);
    await clock.advance(1);
    assert.equal(await countNotReady(api), count);
    await clock.advance(1000);
    assert.equal(toldAtMs.size, count);
    assert.ok([...toldAtMs.values()].every((atMs) => atMs >= TIMEOUT_MS && atMs <= TIMEOUT_MS + 1000));
    const { body } = await api.call('GET', '/nodes/node-0');
    const changed = (body as NodeObject).status.conditions.find(({ type }) => type === 'NoHeartbeat')?.lastTransitionTime;
    assert.equal(changed, new Date(Date.UTC(2026, 0, 1) + TIMEOUT_MS).toISOString()); // when it fell silent, not when that was written
  });
}
