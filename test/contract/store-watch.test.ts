/** The promise of a watch, as a law: whatever is written by whoever, no gap, no duplicate, no step back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ApiError, hasReason } from '../../src/api/errors.ts';
import type { Store, Write } from '../../src/store/store.ts';
import { backendsWithPostgres } from '../support/stores/postgres-backend.ts';
import { draft, type Thing } from '../support/stores/store-backends.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const LOG_SIZE = 6;
const KINDS = ['Thing', 'Other'] as const;

/** A commit that a writer tries: each write on one of a few names, so that writers collide. */
const writeOf = fc
  .record({
    op: fc.constantFrom('create' as const, 'update' as const, 'update' as const, 'delete' as const),
    kind: fc.constantFrom(...KINDS),
    name: fc.constantFrom('a', 'b', 'c'),
    value: fc.nat(1_000),
  })
  .map(({ op, kind, name, value }): Write => (op === 'delete' ? { op, kind, name } : { op, object: draft(name, value, kind) }));

interface PlannedCommit {
  readonly writes: readonly Write[];
  /** turns of the event loop before it */
  readonly pause: number;
}

const commit = fc.record({ writes: fc.array(writeOf, { minLength: 1, maxLength: 2 }), pause: fc.constantFrom(0, 0, 0, 1, 2) });
const writer = fc.array(commit, { minLength: 20, maxLength: 60 });

const watcher = fc.record({
  /** turns of the event loop before it lists and begins */
  startTurn: fc.nat(20),
  /** changes after which it aborts and, as a client that lost its connection, goes on from the last version it saw */
  abortEvery: fc.integer({ min: 1, max: 12 }),
  /** turns between two items; the slowest fall out of the log */
  slowness: fc.nat(8),
});

interface Follower {
  readonly view: Map<string, Thing>;
  seen: number;
  /** what it went through, so that the test can tell that it tested something */
  readonly met: { changes: number; expired: number };
}

/** Follows as an informer does, checking each step, until what it has seen reaches `goal()`. */
async function follow(
  store: Store,
  plan: { readonly abortEvery: number; readonly slowness: number },
  goal: () => number,
): Promise<Follower> {
  const listing = await store.list<Thing>('Thing');
  const follower: Follower = {
    view: new Map(listing.items.map((item) => [item.metadata.name, item])),
    seen: listing.version,
    met: { changes: 0, expired: 0 },
  };
  while (follower.seen < goal()) {
    try {
      await followOnce(store, plan, { follower, goal });
    } catch (error) {
      assert.ok(hasReason(error, 'Expired'), String(error));
      const again = await store.list<Thing>('Thing');
      follower.view.clear();
      for (const item of again.items) {
        follower.view.set(item.metadata.name, item);
      }
      follower.seen = again.version;
      follower.met.expired += 1;
    }
    await turns(1);
  }
  return follower;
}

async function followOnce(
  store: Store,
  plan: { readonly abortEvery: number; readonly slowness: number },
  { follower, goal }: { readonly follower: Follower; readonly goal: () => number },
): Promise<void> {
  const connection = new AbortController();
  let count = 0;
  for await (const item of store.watch<Thing>('Thing', follower.seen, connection.signal)) {
    if (item.type === 'BOOKMARK') {
      assert.ok(item.version >= follower.seen, 'a bookmark stepped back');
      follower.seen = item.version;
    } else {
      assert.ok(item.version > follower.seen, `version ${item.version} came after ${follower.seen}`);
      const { name, resourceVersion } = item.object.metadata;
      assert.equal(resourceVersion, String(item.version));
      const before = follower.view.get(name);
      // A change that was missed shows here: what it says was before is not what we have.
      assert.equal(item.type === 'ADDED', before === undefined, `${item.type} of ${name}`);
      assert.deepEqual(item.previous ?? before, before);
      if (item.type === 'DELETED') {
        follower.view.delete(name);
      } else {
        follower.view.set(name, item.object);
      }
      follower.seen = item.version;
      count += 1;
      follower.met.changes += 1;
    }
    await turns(plan.slowness);
    // The first item of a watch comes at once, so this ends at the latest with the bookmark of a new connection.
    if (count >= plan.abortEvery || follower.seen >= goal() || item.type === 'BOOKMARK') {
      connection.abort();
    }
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function write(store: Store, commits: readonly PlannedCommit[]): Promise<void> {
  for (const { writes, pause } of commits) {
    await turns(pause);
    try {
      await store.commit(writes);
    } catch (error) {
      assert.ok(error instanceof ApiError && hasReason(error, 'AlreadyExists', 'NotFound'), String(error));
    }
  }
}

for (const { name, turnsPerCommit = 1, create } of backendsWithPostgres()) {
  describe(`store watch: ${name}`, () => {
    it('watchers that list, follow, break off and resume anywhere end with exactly what list() shows', async () => {
      const met = { changes: 0, expired: 0 };
      await fc.assert(
        fc.asyncProperty(
          fc.array(writer, { minLength: 1, maxLength: 4 }),
          fc.array(watcher, { minLength: 1, maxLength: 4 }),
          async (writers, watchers) => {
            await using backend = await create();
            const store = await backend.open({ clock: new VirtualClock(), logSize: LOG_SIZE });
            let finalVersion = Infinity;
            const following = watchers.map(async (plan) => {
              await turns(plan.startTurn * turnsPerCommit);
              return await follow(store, { ...plan, slowness: plan.slowness * turnsPerCommit }, () => finalVersion);
            });
            await Promise.all(writers.map((commits) => write(store, commits)));
            finalVersion = await store.version();
            const { items } = await store.list<Thing>('Thing');
            for (const { view, seen, met: own } of await Promise.all(following)) {
              assert.equal(seen, finalVersion);
              met.changes += own.changes;
              met.expired += own.expired;
              assert.deepEqual(
                [...view.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
                items,
              );
            }
            await store.close();
          },
        ),
        { numRuns: turnsPerCommit === 1 ? 100 : 40 },
      );
      const leastExpired = turnsPerCommit === 1 ? 20 : 0; // how many fall out of the log depends there on how fast the database is
      assert.ok(met.changes > 300 && met.expired >= leastExpired, `the law was hardly tested: ${JSON.stringify(met)}`);
    });
  });
}
