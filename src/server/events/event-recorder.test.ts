import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { ApiError } from '../../api/errors.ts';
import type { EventObject } from '../../api/event.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import type { Store, Write } from '../../store/store.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import type { EventFact } from './event-fact.ts';
import { DEFAULT_EVENT_LIMITS, type EventLimits } from './event-index.ts';
import { createEventRecorder, EXPIRY_INTERVAL_MS, FLUSH_INTERVAL_MS, WRITE_BUDGET } from './event-recorder.ts';

const random = { next: () => 0.5, uuid: () => 'uuid' };

interface Options {
  readonly store?: Store;
  readonly clock?: VirtualClock;
  readonly limits?: Partial<EventLimits>;
}

/** A recorder that runs until disposed of, the commits it made, and what it logged. */
function startRecorder(options: Options = {}) {
  const { clock = new VirtualClock() } = options;
  const { store = createMemoryStore({ clock }) } = options;
  const commits: (readonly Write[])[] = [];
  const limits = { ...DEFAULT_EVENT_LIMITS, ...options.limits };
  let isFailing = false;
  let areBoundsKept = true;
  const spied: Store = Object.assign(Object.create(store) as Store, {
    list: (kind: string) => store.list(kind),
    commit: async (writes: readonly Write[]) => {
      if (isFailing) {
        throw new ApiError('Unavailable', 'Cannot write as the disk is full');
      }
      commits.push(writes);
      const stored = await store.commit(writes);
      await checkBounds();
      return stored;
    },
  });
  const checkBounds = async (): Promise<void> => {
    const { items } = await store.list<EventObject>('Event');
    const bySource = Map.groupBy(items, ({ object }) => object.name);
    areBoundsKept &&= items.length <= limits.total && bySource.values().every(({ length }) => length <= limits.perSource);
  };
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
  const recorder = createEventRecorder({ store: spied, clock, random, log, limits });
  const stopper = new AbortController();
  const running = recorder.run(stopper.signal).catch((error: unknown) => {
    assert.ok(stopper.signal.aborted, String(error));
  });
  const stop = async (): Promise<void> => {
    stopper.abort();
    await running;
  };
  const fail = (value: boolean): void => {
    isFailing = value;
  };
  const events = async (): Promise<readonly EventObject[]> => (await store.list<EventObject>('Event')).items;
  const keptBounds = (): boolean => areBoundsKept;
  return { clock, store, recorder, commits, lines, stop, fail, events, keptBounds, [Symbol.asyncDispose]: stop };
}

function factOf(name: string, reason: string, message = 'it happened'): EventFact {
  return { object: { kind: 'Node', name, uid: `uid-of-${name}` }, type: 'Normal', reason, message };
}

test('record() makes an Event of what happened, within two seconds', async () => {
  await using world = startRecorder();
  world.recorder.record(factOf('a', 'Up', 'hello'));
  assert.equal(world.recorder.pending, 1);
  await world.clock.advance(2 * FLUSH_INTERVAL_MS);
  const [event] = await world.events();
  const at = '2026-01-01T00:00:00.000Z';
  assert.deepEqual(
    { ...event, metadata: { ...event?.metadata, name: '' } },
    {
      apiVersion: 'caravanserai/v1',
      kind: 'Event',
      metadata: { name: '', labels: {}, annotations: {}, uid: 'uuid', resourceVersion: '1', generation: 1, createdAt: at, updatedAt: at },
      ...factOf('a', 'Up', 'hello'),
      count: 1,
      firstSeen: at,
      lastSeen: at,
    },
  );
});

test('record() of the same thing within one flush is one write, and later ones count on in the same Event', async () => {
  await using world = startRecorder();
  for (let count = 1; count <= 100; count += 1) {
    world.recorder.record(factOf('a', 'Up', `time ${count}`));
  }
  await world.clock.advance(5000);
  assert.equal(world.commits.length, 1);
  world.recorder.record(factOf('a', 'Up', 'time 101'));
  await world.clock.advance(5000);
  const [event, ...others] = await world.events();
  assert.deepEqual(others, []);
  assert.deepEqual([event?.count, event?.message], [101, 'time 101']);
  assert.deepEqual([event?.firstSeen, event?.lastSeen], ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:05.000Z']);
});

test('record() of another object, reason, type or uid is another Event', async () => {
  await using world = startRecorder();
  const fact = factOf('a', 'Up');
  const facts: readonly EventFact[] = [
    fact,
    { ...fact, reason: 'Down' },
    { ...fact, type: 'Warning' },
    { ...fact, object: { ...fact.object, uid: 'another' } },
    { ...fact, object: { ...fact.object, kind: 'Project' } },
  ];
  facts.forEach((each) => world.recorder.record(each));
  await world.clock.advance(2000);
  assert.equal((await world.events()).length, facts.length);
  assert.equal(world.commits.length, 1);
});

test('record() cuts a message that is too long', async () => {
  await using world = startRecorder();
  world.recorder.record(factOf('a', 'Up', 'x'.repeat(5000)));
  await world.clock.advance(2000);
  assert.equal((await world.events())[0]?.message.length, 1024);
});

test('a recorder writes nothing while nothing happens', async () => {
  await using world = startRecorder();
  await world.clock.advance(3_600_000);
  world.recorder.record(factOf('a', 'Up'));
  await world.clock.advance(3_600_000);
  assert.equal(world.commits.length, 1);
});

test('an object to which something happens ten times a second for an hour is written within its budget, and every time counts', async () => {
  await using world = startRecorder();
  for (let tick = 0; tick < 36_000; tick += 1) {
    world.recorder.record(factOf('looper', 'Failed'));
    if (tick % 10 === 9) {
      await world.clock.advance(1000);
    }
  }
  const budget = WRITE_BUDGET.burst + 3_600_000 / WRITE_BUDGET.refillMs;
  assert.ok(world.commits.length <= budget && world.commits.length > budget / 2, `${world.commits.length} commits`);
  await world.stop();
  assert.equal((await world.events())[0]?.count, 36_000);
  assert.equal(world.recorder.dropped, 0);
});

test('what is new about an object is not held up by what repeats', async () => {
  await using world = startRecorder();
  for (let tick = 0; tick < 400; tick += 1) {
    ['R1', 'R2', 'R3', 'R4'].forEach((reason) => world.recorder.record(factOf('looper', reason)));
    await world.clock.advance(100);
  }
  world.recorder.record(factOf('looper', 'News'));
  await world.clock.advance(WRITE_BUDGET.refillMs + 2 * FLUSH_INTERVAL_MS);
  assert.ok((await world.events()).some(({ reason }) => reason === 'News'));
});

test('a fleet that falls silent at once is told in batches, and what there is no room for is dropped, counted and logged twice', async () => {
  await using world = startRecorder({ limits: { total: 1200 } });
  for (let node = 0; node < 2000; node += 1) {
    world.recorder.record(factOf(`node-${node}`, 'NodeNotReady'));
  }
  assert.deepEqual([world.recorder.pending, world.recorder.dropped], [1200, 800]);
  await world.clock.advance(10_000);
  assert.deepEqual(
    world.commits.map(({ length }) => length),
    [500, 500, 200],
  );
  assert.equal((await world.events()).length, 1200);
  assert.deepEqual(world.lines, ['events dropped, more happens than can be kept', 'events no longer dropped']);
});

test('nodes that fall silent are told though chatter has taken all the room, and the crowd of them though they have', async () => {
  await using world = startRecorder({ limits: { total: 600 } });
  for (let project = 0; project < 600; project += 1) {
    world.recorder.record({ ...factOf(`shop-${project}`, 'Failed'), object: { kind: 'Project', name: `shop-${project}`, uid: 'u' } });
  }
  for (let node = 0; node < 700; node += 1) {
    world.recorder.record(factOf(`node-${node}`, 'NodeNotReady'));
  }
  world.recorder.record({ ...factOf('cluster', 'ManyNodesNotReady'), object: { kind: 'Cluster', name: 'cluster', uid: 'u' } });
  assert.deepEqual([world.recorder.pending, world.recorder.dropped], [601, 700]);
  await world.clock.advance(10_000);
  const events = await world.events();
  assert.equal(events.filter(({ reason }) => reason === 'NodeNotReady').length, 599);
  assert.equal(events.filter(({ reason }) => reason === 'ManyNodesNotReady').length, 1);
});

test('a store that cannot write loses nothing: it is said once, and once when it is over', async () => {
  await using world = startRecorder();
  world.fail(true);
  world.recorder.record(factOf('a', 'Up', 'first'));
  await world.clock.advance(20_000);
  world.recorder.record(factOf('a', 'Up', 'second'));
  world.recorder.record(factOf('b', 'Up'));
  await world.clock.advance(60_000);
  world.fail(false);
  await world.clock.advance(60_000);
  const [first, second] = await world.events();
  assert.deepEqual([first?.count, first?.message, second?.count], [2, 'second', 1]);
  assert.deepEqual(world.lines, ['events not written, trying again', 'events written again']);
});

test('somebody else who deletes or makes Events costs a try, not a count', async () => {
  await using world = startRecorder();
  world.recorder.record(factOf('a', 'Up'));
  await world.clock.advance(2000);
  const [event] = await world.events();
  await world.store.commit([{ op: 'delete', kind: 'Event', name: event?.metadata.name ?? '' }]);
  world.recorder.record(factOf('a', 'Up'));
  await world.clock.advance(10_000);
  assert.equal((await world.events())[0]?.count, 1);
});

test('run() stores what is left when it is stopped, beyond the budget', async () => {
  const world = startRecorder();
  for (let node = 0; node < 1100; node += 1) {
    world.recorder.record(factOf(`node-${node}`, 'Up'));
  }
  await world.stop();
  assert.equal((await world.events()).length, 1100);
});

test('run() ends although the store takes nothing any more', async () => {
  const world = startRecorder();
  world.fail(true);
  world.recorder.record(factOf('a', 'Up'));
  await world.stop();
  assert.ok(world.lines.includes('events lost as the store does not take them'));
});

test('a recorder that starts anew counts on, and deletes what has grown too old', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  {
    await using first = startRecorder({ clock, store });
    first.recorder.record(factOf('a', 'Up'));
    first.recorder.record(factOf('a', 'Old'));
  }
  await clock.advance(DEFAULT_EVENT_LIMITS.ageMs - 3600_000);
  await using second = startRecorder({ clock, store });
  second.recorder.record(factOf('a', 'Up'));
  await clock.advance(2000);
  assert.deepEqual((await second.events()).map(({ reason, count }) => `${reason} ${count}`).toSorted(), ['Old 1', 'Up 2']);
  await clock.advance(3600_000 + EXPIRY_INTERVAL_MS + 2000);
  assert.deepEqual(
    (await second.events()).map(({ reason }) => reason),
    ['Up'],
  );
});

test('a recorder with tighter limits than the one before it brings the store within them, also while what must go happens again', async () => {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  {
    await using first = startRecorder({ clock, store });
    for (let node = 0; node < 1300; node += 1) {
      first.recorder.record(factOf(`node-${node}`, 'Up'));
    }
  }
  await using second = startRecorder({ clock, store, limits: { total: 10 } });
  second.recorder.record(factOf('node-1', 'Up'));
  await clock.advance(10_000);
  second.recorder.record(factOf('node-2', 'Up'));
  await clock.advance(10_000);
  assert.equal((await second.events()).length, 10);
});

test('whatever happens in whatever order, bounds hold after every commit, and what stays has counted every time since it came', async () => {
  const limits = { perSource: 3, total: 6 };
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ name: fc.constantFrom('a', 'b', 'c'), reason: fc.constantFrom('R1', 'R2', 'R3', 'R4') }) },
    fc.record({ waitMs: fc.integer({ min: 1, max: 20_000 }) }),
    fc.record({ isFailing: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const world = startRecorder({ limits });
      let recorded = 0;
      for (const next of actions) {
        if ('name' in next) {
          world.recorder.record(factOf(next.name, next.reason));
          recorded += 1;
        } else if ('waitMs' in next) {
          await world.clock.advance(next.waitMs);
        } else {
          world.fail(next.isFailing);
        }
      }
      world.fail(false);
      await world.stop();
      let stored = 0;
      const present = new Map<string, number>();
      for await (const item of world.store.watch<EventObject>('Event', 0, AbortSignal.timeout(5000))) {
        if (item.type === 'BOOKMARK') {
          break;
        }
        const { name } = item.object.metadata;
        if (item.type === 'DELETED') {
          stored -= item.object.count;
          present.delete(name);
          recorded -= item.object.count;
        } else {
          stored += item.object.count - (present.get(name) ?? 0);
          present.set(name, item.object.count);
        }
      }
      assert.equal(stored, recorded - world.recorder.dropped);
      assert.ok(world.keptBounds());
    }),
    { numRuns: 60 },
  );
});
