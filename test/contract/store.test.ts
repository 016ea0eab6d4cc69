/** What every store promises (src/store/store.ts), checked over every backend. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasReason, type Reason } from '../../src/api/errors.ts';
import type { Change, Store, StoredObject, WatchItem, Write } from '../../src/store/store.ts';
import { backendsWithPostgres } from '../support/stores/postgres-backend.ts';
import { draft, type Backend, type Thing } from '../support/stores/store-backends.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const refusal =
  (reason: Reason) =>
  (error: unknown): boolean =>
    hasReason(error, reason);

interface Fixture extends AsyncDisposable {
  readonly store: Store;
  readonly backend: Backend;
  readonly clock: VirtualClock;
}

for (const { name: backendName, isLasting, create } of backendsWithPostgres()) {
  const open = async (logSize?: number): Promise<Fixture> => {
    const backend = await create();
    const clock = new VirtualClock();
    const store = await backend.open({ clock, ...(logSize !== undefined && { logSize }) });
    return {
      store,
      backend,
      clock,
      [Symbol.asyncDispose]: async () => {
        await store.close();
        assert.equal(clock.sleepers, 0, 'a timer was left');
        await backend[Symbol.asyncDispose]();
      },
    };
  };

  describe(`store contract: ${backendName}`, () => {
    it('commit() of a create stores the object under a version, and get() gives it back', async () => {
      await using fixture = await open();
      const [created] = await fixture.store.commit([{ op: 'create', object: draft('a', 7) }]);
      assert.deepEqual(created, { ...draft('a', 7), metadata: { ...draft('a').metadata, resourceVersion: '1' } });
      assert.deepEqual(await fixture.store.get('Thing', 'a'), created);
      assert.equal(await fixture.store.get('Thing', 'b'), undefined);
      assert.equal(await fixture.store.get('Other', 'a'), undefined);
      assert.equal(await fixture.store.version(), 1);
    });

    it('watchBatches() gives what watch() gives, as it comes, in batches that are never empty', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const create = (name: string): Write => ({ op: 'create', object: draft(name) });
      await store.commit(Array.from({ length: 100 }, (_, index) => create(`before-${index}`)));
      const stop = new AbortController();
      const batches: (readonly WatchItem[])[] = [];
      const singly: WatchItem[] = [];
      const both = Promise.all([
        (async () => {
          for await (const batch of store.watchBatches('Thing', 0, stop.signal)) {
            batches.push(batch);
          }
        })(),
        collect(store, 0, stop.signal, singly),
      ]);
      await fixture.clock.settle();
      await store.commit([create('after'), { op: 'delete', kind: 'Thing', name: 'before-1' }]);
      await fixture.clock.settle();
      stop.abort();
      await both;
      assert.deepEqual(batches.flat(), singly);
      assert.equal(singly.length, 103);
      assert.ok(batches.length < 20 && batches.every((batch) => batch.length > 0));
    });

    it('list() and watchBatches() of a topic give the same as all of it, looked through', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const topic = { field: 'metadata.labels.zone', value: 'north' };
      const inZone = (name: string, zone: string) => ({ ...draft(name), metadata: { ...draft(name).metadata, labels: { zone } } });
      const names = async (): Promise<readonly string[]> =>
        (await store.list('Thing', { topic })).items.map(({ metadata }) => metadata.name);
      await store.commit(['c', 'a', 'b'].map((name) => ({ op: 'create', object: inZone(name, name === 'b' ? 'south' : 'north') })));
      assert.deepEqual(await names(), ['a', 'c']);
      const stop = new AbortController();
      const seen: (readonly [string, string?])[] = [];
      const watching = (async () => {
        for await (const batch of store.watchBatches('Thing', await store.version(), stop.signal, topic)) {
          seen.push(
            ...batch.map((item) => (item.type === 'BOOKMARK' ? [item.type] : [item.type, item.object.metadata.name]) as [string, string?]),
          );
        }
      })();
      await fixture.clock.settle();
      await store.commit([{ op: 'update', object: inZone('b', 'north') }]);
      await store.commit([{ op: 'update', object: inZone('b', 'south') }]);
      await store.commit([{ op: 'update', object: inZone('b', 'west') }]);
      await store.commit([{ op: 'create', object: inZone('d', 'north') }]);
      await store.commit([{ op: 'delete', kind: 'Thing', name: 'a' }]);
      await fixture.clock.settle();
      assert.deepEqual(await names(), ['c', 'd']);
      assert.deepEqual(
        (await store.list('Thing', { topic, after: 'c', limit: 5 })).items.map(({ metadata }) => metadata.name),
        ['d'],
      );
      stop.abort();
      await watching;
      assert.deepEqual(seen, [['BOOKMARK'], ['MODIFIED', 'b'], ['MODIFIED', 'b'], ['ADDED', 'd'], ['DELETED', 'a']]);
    });

    it('commit() overrides a resourceVersion that the draft brings along', async () => {
      await using fixture = await open();
      const object = { ...draft('a'), metadata: { ...draft('a').metadata, resourceVersion: '99' } };
      const [created] = await fixture.store.commit([{ op: 'create', object }]);
      assert.equal(created?.metadata.resourceVersion, '1');
    });

    it('commit() refuses what cannot be: AlreadyExists, NotFound, Conflict', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      const refused: readonly (readonly [Reason, Write])[] = [
        ['AlreadyExists', { op: 'create', object: draft('a') }],
        ['NotFound', { op: 'update', object: draft('b') }],
        ['NotFound', { op: 'update', object: draft('b'), expectedVersion: '1' }],
        ['NotFound', { op: 'delete', kind: 'Thing', name: 'b' }],
        ['Conflict', { op: 'update', object: draft('a', 1), expectedVersion: '0' }],
        ['Conflict', { op: 'delete', kind: 'Thing', name: 'a', expectedVersion: '2' }],
        ['Conflict', { op: 'check', kind: 'Thing', name: 'a', expectedVersion: undefined }],
        ['Conflict', { op: 'check', kind: 'Thing', name: 'a', expectedVersion: '2' }],
        ['Conflict', { op: 'check', kind: 'Thing', name: 'b', expectedVersion: '1' }],
      ];
      for (const [reason, write] of refused) {
        await assert.rejects(store.commit([write]), refusal(reason), `${write.op} should be ${reason}`);
      }
      assert.equal(await store.version(), 1);
      assert.equal((await store.get<Thing>('Thing', 'a'))?.spec.value, 0);
    });

    it('commit() does what holds: update and delete with and without a version, checks of presence and absence', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      await store.commit([{ op: 'update', object: draft('a', 1), expectedVersion: '1' }]);
      await store.commit([{ op: 'update', object: draft('a', 2) }]);
      const results = await store.commit([
        { op: 'check', kind: 'Thing', name: 'a', expectedVersion: '3' },
        { op: 'check', kind: 'Thing', name: 'b', expectedVersion: undefined },
        { op: 'delete', kind: 'Thing', name: 'a', expectedVersion: '3' },
      ]);
      assert.deepEqual(
        results.map((result) => [result?.metadata.resourceVersion, (result as Thing | undefined)?.spec.value]),
        [
          [undefined, undefined],
          [undefined, undefined],
          ['4', 2],
        ],
      );
      assert.equal(await store.get('Thing', 'a'), undefined);
      await store.commit([{ op: 'create', object: draft('a', 3) }]);
      assert.equal((await store.get('Thing', 'a'))?.metadata.resourceVersion, '5');
    });

    it('commit() is atomic: one refused write takes the whole commit with it, and uses up no version', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      const writes: readonly Write[] = [
        { op: 'create', object: draft('b') },
        { op: 'update', object: draft('a', 1) },
        { op: 'check', kind: 'Thing', name: 'c', expectedVersion: '1' },
      ];
      await assert.rejects(store.commit(writes), refusal('Conflict'));
      const listing = await store.list<Thing>('Thing');
      assert.deepEqual(
        listing.items.map((item) => [item.metadata.name, item.spec.value]),
        [['a', 0]],
      );
      assert.equal(listing.version, 1);
    });

    it('commit() applies its writes in order, each seeing those before it, each under a version of its own', async () => {
      await using fixture = await open();
      const results = await fixture.store.commit([
        { op: 'create', object: draft('a') },
        { op: 'update', object: draft('a', 1), expectedVersion: '1' },
        { op: 'delete', kind: 'Thing', name: 'a', expectedVersion: '2' },
        { op: 'create', object: draft('a', 2) },
      ]);
      assert.deepEqual(
        results.map((result) => result?.metadata.resourceVersion),
        ['1', '2', '3', '4'],
      );
      assert.equal((await fixture.store.get<Thing>('Thing', 'a'))?.spec.value, 2);
    });

    it('commit() of many at once: those refused do not harm their neighbours', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('taken') }]);
      const commits = Array.from({ length: 60 }, (_, index) =>
        store.commit(
          index % 3 === 0
            ? [
                { op: 'create', object: draft(`half-${index}`) },
                { op: 'create', object: draft('taken') },
              ]
            : [{ op: 'create', object: draft(`whole-${index}`) }],
        ),
      );
      const outcomes = await Promise.allSettled(commits);
      assert.deepEqual(
        outcomes.map((outcome) => outcome.status),
        outcomes.map((_, index) => (index % 3 === 0 ? 'rejected' : 'fulfilled')),
      );
      const { items, version } = await store.list('Thing');
      assert.equal(items.length, 41);
      assert.equal(version, 41);
    });

    it('commit() of many at once with the same expected version: exactly one wins', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      const races = Array.from({ length: 20 }, (_, index) =>
        store.commit([{ op: 'update', object: draft('a', index + 1), expectedVersion: '1' }]),
      );
      const outcomes = await Promise.allSettled(races);
      assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1);
      assert.ok(outcomes.every((outcome) => outcome.status === 'fulfilled' || hasReason(outcome.reason, 'Conflict')));
      assert.equal(await store.version(), 2);
    });

    it('commit() of nothing, or of checks alone, changes nothing', async () => {
      await using fixture = await open();
      assert.deepEqual(await fixture.store.commit([]), []);
      assert.deepEqual(await fixture.store.commit([{ op: 'check', kind: 'Thing', name: 'a', expectedVersion: undefined }]), [undefined]);
      assert.equal(await fixture.store.version(), 0);
    });

    it('counters raised by compare-and-set from many callers lose no step', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('counter') }]);
      const raise = async (): Promise<void> => {
        for (;;) {
          const current = await store.get<Thing>('Thing', 'counter');
          assert.ok(current !== undefined);
          const next = draft('counter', current.spec.value + 1);
          try {
            await store.commit([{ op: 'update', object: next, expectedVersion: current.metadata.resourceVersion }]);
            return;
          } catch (error) {
            assert.ok(hasReason(error, 'Conflict'));
          }
        }
      };
      await Promise.all(Array.from({ length: 25 }, raise));
      assert.equal((await store.get<Thing>('Thing', 'counter'))?.spec.value, 25);
    });

    it('documents are frozen to the last leaf, and the caller keeps its draft', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const mine = draft('a');
      const pending = store.commit([{ op: 'create', object: mine }]);
      (mine.spec.tags as string[]).push('c');
      const [created] = (await pending) as readonly [Thing];
      assert.deepEqual(created.spec.tags, ['a', 'b']);
      for (const object of [created, await store.get<Thing>('Thing', 'a'), (await store.list<Thing>('Thing')).items[0]]) {
        for (const part of [object, object?.metadata, object?.metadata.labels, object?.spec, object?.spec.tags]) {
          assert.ok(part !== undefined && Object.isFrozen(part));
        }
      }
    });

    it('list() sorts by name by code unit, and pages by `after` and `limit`', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const names = ['b', 'a', 'a.b', 'a-b', 'B', 'z', 'ab', 'é', '0'];
      await store.commit([...names, 'gone'].map((name) => ({ op: 'create', object: draft(name) })));
      await store.commit([{ op: 'delete', kind: 'Thing', name: 'gone' }]);
      await store.commit([{ op: 'create', object: draft('a', 0, 'Other') }]);
      const sorted = names.toSorted((a, b) => (a < b ? -1 : 1));
      const nameOf = (item: StoredObject): string => item.metadata.name;
      assert.deepEqual((await store.list('Thing')).items.map(nameOf), sorted);
      assert.deepEqual((await store.list('None')).items, []);
      for (const limit of [1, 2, 4, 9, 10]) {
        const seen: string[] = [];
        for (let page = await store.list('Thing', { limit }); page.items.length > 0;) {
          assert.ok(page.items.length <= limit);
          assert.equal(page.version, 12);
          seen.push(...page.items.map(nameOf));
          page = await store.list('Thing', { limit, after: seen.at(-1) ?? '' });
        }
        assert.deepEqual(seen, sorted);
      }
      assert.deepEqual((await store.list('Thing', { after: 'aa', limit: 1 })).items.map(nameOf), ['ab'], '`after` need not exist');
    });

    it('list() keeps its order as objects come and go between lists', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const names = async (): Promise<readonly string[]> => (await store.list('Thing')).items.map((item) => item.metadata.name);
      await store.commit(['m', 'c', 'x'].map((name) => ({ op: 'create', object: draft(name) })));
      assert.deepEqual(await names(), ['c', 'm', 'x']);
      await store.commit([{ op: 'create', object: draft('d') }]);
      await store.commit([{ op: 'delete', kind: 'Thing', name: 'm' }]);
      assert.deepEqual(await names(), ['c', 'd', 'x']);
      await store.commit([{ op: 'create', object: draft('m', 5) }]);
      await store.commit([{ op: 'update', object: draft('c', 6) }]);
      assert.deepEqual(await names(), ['c', 'd', 'm', 'x']);
      assert.equal((await store.list<Thing>('Thing', { limit: 1 })).items[0]?.spec.value, 6);
    });

    it('watch() gives the changes after `since` with what was before, a bookmark when it has caught up, then what comes', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      await store.commit([{ op: 'create', object: draft('a', 0, 'Other') }]);
      await store.commit([{ op: 'update', object: draft('a', 1) }]);
      await store.commit([{ op: 'delete', kind: 'Thing', name: 'a' }]);
      const stop = new AbortController();
      const watcher = store.watch<Thing>('Thing', 0, stop.signal)[Symbol.asyncIterator]();
      assert.deepEqual(shown((await watcher.next()).value), ['ADDED', 1, 0, undefined]);
      assert.deepEqual(shown((await watcher.next()).value), ['MODIFIED', 3, 1, 0]);
      const deleted: Change<Thing> = (await watcher.next()).value;
      assert.deepEqual(shown(deleted), ['DELETED', 4, 1, 1]);
      assert.equal(deleted.object.metadata.resourceVersion, '4');
      assert.equal(deleted.previous?.metadata.resourceVersion, '3');
      assert.deepEqual((await watcher.next()).value, { type: 'BOOKMARK', version: 4 });
      const next = watcher.next();
      await store.commit([{ op: 'create', object: draft('b', 9) }]);
      assert.deepEqual(shown((await next).value), ['ADDED', 5, 9, undefined]);
      stop.abort();
      assert.equal((await watcher.next()).done, true);
    });

    it('watch() gives its first bookmark before changes that came after it began', async () => {
      await using fixture = await open();
      const { store } = fixture;
      const stop = new AbortController();
      await store.commit([{ op: 'create', object: draft('a') }]);
      const watcher = store.watch('Thing', 0, stop.signal)[Symbol.asyncIterator]();
      await watcher.next();
      await store.commit([{ op: 'create', object: draft('b') }]);
      assert.deepEqual((await watcher.next()).value, { type: 'BOOKMARK', version: 1 });
      assert.equal((await watcher.next()).value.version, 2);
      stop.abort();
    });

    it('watch() ends without throwing when its signal aborts: before it begins, while it waits, between two changes', async () => {
      await using fixture = await open();
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      assert.deepEqual(await collect(store, 0, AbortSignal.abort()), []);
      const stop = new AbortController();
      const waiting = collect(store, 1, stop.signal);
      await fixture.clock.settle();
      stop.abort();
      assert.deepEqual(await waiting, [{ type: 'BOOKMARK', version: 1 }]);
      const between = new AbortController();
      for await (const item of store.watch('Thing', 0, between.signal)) {
        assert.equal(item.type, 'ADDED');
        between.abort();
      }
    });

    it('watch() ends when the store closes', async () => {
      const fixture = await open();
      const waiting = collect(fixture.store, 0, new AbortController().signal);
      await fixture.clock.settle();
      await fixture[Symbol.asyncDispose]();
      assert.deepEqual(await waiting, [{ type: 'BOOKMARK', version: 0 }]);
    });

    it('watch() gives a bookmark with the newest version of all kinds when its own has been quiet, and none while it is busy', async () => {
      await using fixture = await open();
      const { store, clock } = fixture;
      const stop = new AbortController();
      const items: WatchItem[] = [];
      const watching = collect(store, 0, stop.signal, items);
      await clock.settle();
      await store.commit([{ op: 'create', object: draft('a', 0, 'Other') }]);
      await clock.advance(30_000);
      assert.deepEqual(items, [
        { type: 'BOOKMARK', version: 0 },
        { type: 'BOOKMARK', version: 1 },
        { type: 'BOOKMARK', version: 1 },
      ]);
      items.length = 0;
      for (let round = 0; round < 10; round += 1) {
        await store.commit([{ op: 'create', object: draft(`busy-${round}`) }]);
        await clock.advance(10_000);
      }
      assert.deepEqual(
        items.map((item) => item.type),
        Array.from({ length: 10 }, () => 'ADDED'),
      );
      stop.abort();
      await watching;
    });

    it('watch() throws Expired when the log no longer reaches back, and when `since` is yet to come', async () => {
      await using fixture = await open(10);
      const { store } = fixture;
      const signal = new AbortController().signal;
      await store.commit([{ op: 'create', object: draft('a', 0, 'Quiet') }]);
      await store.commit([{ op: 'create', object: draft('a') }]);
      for (let value = 1; value <= 30; value += 1) {
        await store.commit([{ op: 'update', object: draft('a', value) }]);
      }
      await assert.rejects(collect(store, 0, signal), refusal('Expired'));
      await assert.rejects(collect(store, 10, signal), refusal('Expired'));
      await assert.rejects(collect(store, 33, signal), refusal('Expired'));
      await assert.rejects(collect(store, Number.NaN, signal), refusal('Expired'));
      assert.equal((await collectUntilBookmark(store, 'Thing', 22)).length, 10);
      assert.equal((await collectUntilBookmark(store, 'Quiet', 0)).length, 1, 'a busy kind leaves a quiet one its history');
    });

    it('watch() throws Expired to a watcher that is slower than the log is long', async () => {
      await using fixture = await open(10);
      const { store } = fixture;
      await store.commit([{ op: 'create', object: draft('a') }]);
      const watcher = store.watch('Thing', 0, new AbortController().signal)[Symbol.asyncIterator]();
      assert.equal((await watcher.next()).value.version, 1);
      for (let value = 1; value <= 30; value += 1) {
        await store.commit([{ op: 'update', object: draft('a', value) }]);
      }
      await assert.rejects(async () => {
        while ((await watcher.next()).done !== true);
      }, refusal('Expired'));
    });

    it('a closed store refuses politely, and closes twice', async () => {
      const fixture = await open();
      const last = fixture.store.commit([{ op: 'create', object: draft('a') }]);
      await fixture.store.close();
      assert.equal((await last).length, 1, 'what was asked before is done');
      await assert.rejects(fixture.store.commit([{ op: 'create', object: draft('b') }]), refusal('Unavailable'));
      await assert.rejects(fixture.store.get('Thing', 'a'), refusal('Unavailable'));
      await assert.rejects(fixture.store.ping(), refusal('Unavailable'));
      await fixture[Symbol.asyncDispose]();
    });

    it('ping() resolves', async () => {
      await using fixture = await open();
      await fixture.store.ping();
    });

    if (isLasting) {
      it('all is there after the store is opened again; versions go on, also after deletes; watches resume', async () => {
        const backend = await create();
        const clock = new VirtualClock();
        const first = await backend.open({ clock });
        await first.commit([
          { op: 'create', object: draft('b', 1) },
          { op: 'create', object: draft('a', 2) },
        ]);
        await first.commit([{ op: 'update', object: draft('a', 3) }]);
        await first.commit([{ op: 'delete', kind: 'Thing', name: 'b' }]);
        const before = await first.list('Thing');
        const changes = await collectUntilBookmark(first, 'Thing', 0);
        await first.close();

        const second = await backend.open({ clock });
        assert.deepEqual(await second.list('Thing'), before);
        assert.deepEqual(await collectUntilBookmark(second, 'Thing', 0), changes);
        assert.ok(Object.isFrozen((await second.get<Thing>('Thing', 'a'))?.spec.tags));
        await second.commit([{ op: 'delete', kind: 'Thing', name: 'a' }]);
        await second.close();

        const third = await backend.open({ clock });
        assert.equal(await third.version(), 5);
        const [created] = await third.commit([{ op: 'create', object: draft('a') }]);
        assert.equal(created?.metadata.resourceVersion, '6');
        await third.close();
        await backend[Symbol.asyncDispose]();
      });

      it('the log that is kept is bounded: a watch from before it is Expired after a restart, and versions go on', async () => {
        const backend = await create();
        const clock = new VirtualClock();
        const first = await backend.open({ clock, logSize: 5 });
        await first.commit([{ op: 'create', object: draft('a') }]);
        for (let round = 0; round < 15; round += 1) {
          await first.commit(Array.from({ length: 100 }, (_, value) => ({ op: 'update', object: draft('a', value) })));
        }
        await first.close();
        const second = await backend.open({ clock, logSize: 5 });
        assert.equal(await second.version(), 1501);
        await assert.rejects(collect(second, 0, new AbortController().signal), refusal('Expired'));
        assert.equal((await collectUntilBookmark(second, 'Thing', 1496)).length, 5);
        await second.close();
        await backend[Symbol.asyncDispose]();
      });
    }
  });
}

/** Type, version, value, value before. */
function shown(item: WatchItem<Thing>): readonly unknown[] {
  return item.type === 'BOOKMARK'
    ? [item.type, item.version]
    : [item.type, item.version, item.object.spec.value, item.previous?.spec.value];
}

async function collect(store: Store, since: number, signal: AbortSignal, items: WatchItem[] = []): Promise<readonly WatchItem[]> {
  for await (const item of store.watch('Thing', since, signal)) {
    items.push(item);
  }
  return items;
}

async function collectUntilBookmark(store: Store, kind: string, since: number): Promise<readonly WatchItem[]> {
  const items: WatchItem[] = [];
  for await (const item of store.watch(kind, since, new AbortController().signal)) {
    if (item.type === 'BOOKMARK') {
      break;
    }
    items.push(item);
  }
  return items;
}
