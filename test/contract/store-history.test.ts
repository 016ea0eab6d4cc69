/** Concurrent clients against every store, their history checked against the model; and stores with a planted bug, to see each caught. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { checkHistory, type History } from '../support/stores/history.ts';
import { runWorkload } from '../support/stores/history-workload.ts';
import { backendsWithPostgres } from '../support/stores/postgres-backend.ts';
import { NO_POSTGRES, startPostgres } from '../support/stores/postgres.ts';
import { silentLog } from '../support/stores/store-backends.ts';
import { wrapped } from '../support/stores/wrapped-store.ts';

const CLIENTS = 6;
const STEPS = Number(process.env['HISTORY_STEPS'] ?? 150);

async function run(...stores: readonly Store[]): Promise<History> {
  return await runWorkload({ stores, random: systemRandom, clients: CLIENTS, steps: STEPS });
}

/** That it tested something. */
function assertBusy({ writes, reads, lists, watches }: History): void {
  const kinds = new Set(writes.map(({ outcome }) => (outcome.kind === 'refused' ? outcome.reason : outcome.kind)));
  assert.deepEqual([...kinds].filter((kind) => kind !== 'unknown').toSorted(), ['AlreadyExists', 'Conflict', 'NotFound', 'written']);
  assert.ok(reads.length > STEPS && lists.length > STEPS / 4 && watches.length === CLIENTS);
}

describe('histories of concurrent clients', () => {
  for (const { name, create } of backendsWithPostgres()) {
    it(`are linearizable, with watches in order and without gap: ${name}`, async () => {
      await using backend = await create();
      const store = await backend.open({ clock: systemClock });
      const history = await run(store);
      await store.close();
      assertBusy(history);
      assert.deepEqual(checkHistory(history), []);
    });
  }

  it('are so through three servers on one PostgreSQL', { skip: NO_POSTGRES }, async () => {
    await using server = await startPostgres();
    const url = await server.createDatabase();
    const stores = await Promise.all([1, 2, 3].map(() => openStore(url, { clock: systemClock, log: silentLog })));
    const history = await run(...stores);
    await Promise.all(stores.map((store) => store.close()));
    assertBusy(history);
    assert.deepEqual(checkHistory(history), []);
  });
});

describe('checkHistory() catches', () => {
  const planted: Readonly<Record<string, { readonly plant: (store: Store) => Partial<Store>; readonly words: RegExp }>> = {
    'a compare-and-set that does not compare': {
      plant: (store) => ({
        commit: (writes) => store.commit(writes.map((write) => (write.op === 'update' ? { op: 'update', object: write.object } : write))),
      }),
      words: /went through though it was at \d+, not at \d+$/u,
    },
    'a read of what was before': {
      plant: (store) => {
        const old = new Map<string, never>();
        return {
          get: async (kind, name) => {
            const found = await store.get(kind, name);
            const before = old.get(name);
            old.set(name, found as never);
            return Math.random() < 0.2 ? before : (found as never);
          },
        };
      },
      words: /^client \d read \w as .*, which it was not from version \d+ to \d+$/u,
    },
    'a list under a version that it does not show': {
      plant: (store) => ({
        list: async (kind, page) => {
          const listing = await store.list(kind, page);
          return { ...listing, version: listing.version + 1 } as never;
        },
      }),
      words: /^a list of version \d+ has/u,
    },
    'a watch that skips a change': {
      plant: (store) => ({
        watch: async function* (kind, since, signal) {
          for await (const item of store.watch(kind, since, signal)) {
            if (item.version % 20 !== 0 || item.version > 100) {
              yield item as never;
            }
          }
        },
      }),
      words: /^a watch from 0 gave ".*" where ".*" was to come$/u,
    },
    'a refusal without cause': {
      plant: (store) => ({
        commit: async (writes) => {
          const [write] = writes;
          return write?.op === 'update' && Math.random() < 0.05
            ? await store.commit([{ op: 'delete', kind: 'Thing', name: 'never there' }])
            : await store.commit(writes);
        },
      }),
      words: /was refused as NotFound, which it was not/u,
    },
  };
  for (const [bug, { plant, words }] of Object.entries(planted)) {
    it(bug, async () => {
      const store = createMemoryStore({ clock: systemClock });
      const history = await run({ ...wrapped(store), ...plant(store) });
      await store.close();
      const problems = checkHistory(history);
      assert.ok(
        problems.some((problem) => words.test(problem)),
        problems.slice(0, 3).join('\n') || 'nothing was found',
      );
    });
  }
});
