import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { draft, type Thing } from '../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../test/support/time/virtual-clock.ts';
import { wrapped } from '../../test/support/stores/wrapped-store.ts';
import { ApiError } from '../api/errors.ts';
import { createMemoryStore } from './memory-store.ts';
import { createMirror } from './mirror.ts';
import type { Store } from './store.ts';

function createFixture(wrap: (store: Store) => Store = (store) => store, logSize = 100) {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock, logSize });
  const lines: unknown[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: unknown }).msg) });
  const mirror = createMirror<Thing>({ store: wrap(store), kind: 'Thing', clock, log });
  const heard: string[] = [];
  const unsubscribe = mirror.onChange(({ type, object, version }) => heard.push(`${type} ${object.metadata.name} ${version}`));
  return { clock, store, mirror, heard, unsubscribe, lines };
}

describe('createMirror()', () => {
  it('lists, then follows in order of commit, and tells its listeners after it has taken a change in', async () => {
    const { clock, store, mirror, heard, unsubscribe } = createFixture();
    await store.commit([{ op: 'create', object: draft('a', 1) }]);
    const stop = new AbortController();
    const running = mirror.run(stop.signal);
    await mirror.ready();
    assert.equal(mirror.get('a'), await store.get('Thing', 'a'), 'the very object of the store');
    const seenInside: (number | undefined)[] = [];
    mirror.onChange(() => seenInside.push(mirror.get('a')?.spec.value));
    await store.commit([
      { op: 'update', object: draft('a', 2) },
      { op: 'create', object: draft('b') },
    ]);
    await store.commit([{ op: 'delete', kind: 'Thing', name: 'a' }]);
    await clock.settle();
    assert.deepEqual(heard, ['ADDED a 1', 'MODIFIED a 2', 'ADDED b 3', 'DELETED a 4']);
    assert.deepEqual(seenInside, [2, 2, undefined]);
    assert.deepEqual([...mirror.items().keys()], ['b']);
    assert.equal(mirror.version, 4);
    unsubscribe();
    await store.commit([{ op: 'delete', kind: 'Thing', name: 'b' }]);
    await clock.settle();
    assert.equal(heard.length, 4);
    stop.abort();
    await running;
    assert.equal(clock.sleepers, 0);
  });

  it('moves its version on with bookmarks while its kind is quiet', async () => {
    const { clock, store, mirror } = createFixture();
    const stop = new AbortController();
    const running = mirror.run(stop.signal);
    await mirror.ready();
    await store.commit([{ op: 'create', object: draft('a', 0, 'Other') }]);
    await clock.advance(30_000);
    assert.equal(mirror.version, 1);
    stop.abort();
    await running;
  });

  it('lists again when it fell out of the log, and tells the difference as changes', async () => {
    let gate: Promise<void> | undefined;
    const slow = (store: Store): Store => ({
      ...wrapped(store),
      watchBatches: async function* (kind, since, signal) {
        for await (const batch of store.watchBatches(kind, since, signal)) {
          await gate;
          yield batch as never;
        }
      },
    });
    const { clock, store, mirror, heard, lines } = createFixture(slow, 4);
    await store.commit(['kept', 'gone', 'changed'].map((name) => ({ op: 'create', object: draft(name) })));
    const stop = new AbortController();
    const running = mirror.run(stop.signal);
    await mirror.ready();
    await clock.settle();
    heard.length = 0;
    const opened = Promise.withResolvers<void>();
    gate = opened.promise;
    await store.commit([{ op: 'delete', kind: 'Thing', name: 'gone' }]);
    await store.commit([{ op: 'create', object: draft('new') }]);
    for (let value = 1; value <= 10; value += 1) {
      await store.commit([{ op: 'update', object: draft('changed', value) }]);
    }
    opened.resolve();
    await clock.settle();
    assert.deepEqual(heard, ['DELETED gone 4', 'MODIFIED changed 15', 'ADDED new 15']);
    assert.deepEqual([...mirror.items().keys()].toSorted(), ['changed', 'kept', 'new']);
    assert.equal(mirror.get('changed')?.spec.value, 10);
    assert.equal(mirror.version, 15);
    assert.deepEqual(lines, ['mirror fell behind, listing again']);
    stop.abort();
    await running;
  });

  it('waits for a store that does not answer, and says so once', async () => {
    let isAway = true;
    const flaky = (store: Store): Store => ({
      ...wrapped(store),
      list: async (kind) => {
        if (isAway) {
          throw new ApiError('Unavailable', 'away');
        }
        return await store.list(kind);
      },
    });
    const { clock, store, mirror, lines } = createFixture(flaky);
    await store.commit([{ op: 'create', object: draft('a') }]);
    const stop = new AbortController();
    const running = mirror.run(stop.signal);
    await clock.advance(5_000);
    assert.deepEqual(lines, ['mirror cannot read the store']);
    isAway = false;
    await clock.advance(1_000);
    await mirror.ready();
    assert.equal(mirror.items().size, 1);
    stop.abort();
    await running;
  });
});
