import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/time/virtual-clock.ts';
import { hasReason } from '../api/errors.ts';
import { ChangeLog } from './change-log.ts';
import type { Change, StoredObject, WatchItem } from './store.ts';
import { isOfTopic, type Topic } from './topic.ts';

const LOG_SIZE = 100;
const BURST = 70; // more than a watcher is given at a time
const VALUES = ['a', 'b', undefined] as const;
const topicOf = (value: string): Topic => ({ field: 'status.nodeRef', value });

/** Objects "0" to "3", each on a, on b, nowhere or gone. */
const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      name: fc.integer({ min: 0, max: 3 }),
      value: fc.constantFrom(...VALUES, null),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('burst' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('watch' as const), value: fc.constantFrom('a', 'b'), isSlow: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('catchUp' as const) }) },
);

class World {
  readonly log = new ChangeLog({ clock: new VirtualClock(), logSize: LOG_SIZE });
  readonly changes: Change[] = [];
  readonly #objects = new Map<string, StoredObject>();

  /** @param value null: it is gone */
  write(name: string, value: string | undefined | null): void {
    const previous = this.#objects.get(name);
    const version = this.changes.length + 1;
    const metadata = {
      name,
      labels: {},
      annotations: {},
      uid: name,
      generation: 1,
      createdAt: '',
      updatedAt: '',
      resourceVersion: String(version),
    };
    const object = { apiVersion: 'v', kind: 'Thing', metadata, status: value === undefined || value === null ? {} : { nodeRef: value } };
    if (value === null && previous === undefined) {
      return;
    }
    const change: Change =
      value === null && previous !== undefined
        ? { type: 'DELETED', version, object: previous, previous }
        : { type: previous === undefined ? 'ADDED' : 'MODIFIED', version, object, ...(previous && { previous }) };
    this.#objects.delete(name);
    if (value !== null) {
      this.#objects.set(name, object);
    }
    this.changes.push(change);
    this.log.append([change]);
  }

  watch(value: string): Follower {
    return new Follower(this, value);
  }
}

class Follower {
  readonly #since: number;
  readonly #world: World;
  readonly #topic: Topic;
  readonly #seen: WatchItem[] = [];
  readonly #stop = new AbortController();
  #gate = Promise.withResolvers<void>();
  hasExpired = false;
  readonly done: Promise<void>;

  constructor(world: World, value: string) {
    this.#world = world;
    this.#topic = topicOf(value);
    this.#since = world.changes.length;
    this.#gate.resolve();
    this.done = this.#run();
  }

  pause(): void {
    this.#gate = Promise.withResolvers();
  }

  goOn(): void {
    this.#gate.resolve();
  }

  async #run(): Promise<void> {
    try {
      for await (const batch of this.#world.log.watchBatches('Thing', this.#since, this.#stop.signal, this.#topic)) {
        this.#seen.push(...batch);
        await this.#gate.promise;
      }
    } catch (error) {
      assert.ok(hasReason(error, 'Expired'), String(error));
      this.hasExpired = true;
    }
  }

  /** Everything of its topic since it began, once, in order, and nothing else. */
  async check(): Promise<void> {
    this.goOn();
    await turn();
    this.#stop.abort();
    await this.done;
    const wanted = this.#world.changes.filter(
      ({ version, object, previous }) =>
        version > this.#since && [object, previous].some((state) => state !== undefined && isOfTopic(state, this.#topic)),
    );
    const seen = this.#seen.filter(({ type }) => type !== 'BOOKMARK').map(({ version }) => version);
    const expected = wanted.map(({ version }) => version);
    assert.deepEqual(seen, this.hasExpired ? expected.slice(0, seen.length) : expected);
  }
}

test('a watch of a topic gives what came into it, changed in it and left it, and expires only when it was too slow', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async (steps) => {
      const world = new World();
      const followers: { readonly follower: Follower; readonly isSlow: boolean }[] = [];
      for (const step of steps) {
        if (step.kind === 'write') {
          world.write(String(step.name), step.value);
        } else if (step.kind === 'burst') {
          for (let index = 0; index < BURST; index += 1) {
            world.write(String(index % 4), VALUES[index % 3]);
          }
        } else if (step.kind === 'watch') {
          const follower = world.watch(step.value);
          followers.push({ follower, isSlow: step.isSlow });
          await turn();
          if (step.isSlow) {
            follower.pause();
          }
        } else {
          followers.forEach(({ follower }) => follower.goOn());
        }
        await turn();
      }
      for (const { follower, isSlow } of followers) {
        await follower.check();
        assert.ok(isSlow || !follower.hasExpired, 'one that took everything at once has expired');
      }
      world.log.close();
    }),
    { numRuns: 200 },
  );
});

test('a change wakes those of its topics alone, however many watch others', async () => {
  const world = new World();
  const stop = new AbortController();
  let woken = 0;
  const following = Array.from({ length: 100 }, async (_, index) => {
    for await (const batch of world.log.watchBatches('Thing', 0, stop.signal, topicOf(String(index)))) {
      woken += batch[0]?.type === 'BOOKMARK' ? 0 : 1;
    }
  });
  await turn();
  for (let round = 0; round < 3; round += 1) {
    world.write('x', '7');
    await turn();
    world.write('x', '8'); // for the one that it leaves, and the one that it comes to
    await turn();
  }
  assert.equal(woken, 1 + 2 + 4 * 2);
  stop.abort();
  await Promise.all(following);
  world.log.close();
});

test('a log that begins anew tells those who wait for a topic', async () => {
  const world = new World();
  world.write('x', 'a');
  const follower = world.watch('b');
  await turn();
  world.log.reset({ version: 50, floor: 50, changes: [] });
  await follower.done;
  assert.ok(follower.hasExpired);
  world.log.close();
});
