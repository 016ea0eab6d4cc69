import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { API_VERSION } from '../../api/meta.ts';
import type { EventObject } from '../../api/event.ts';
import { EventIndex } from './event-index.ts';

const LIMITS = { perSource: 3, total: 7, ageMs: 1000 };

function eventOf(source: string, reason: string, atMs: number): EventObject {
  const at = new Date(atMs).toISOString();
  const name = `${source}.${reason}`;
  const metadata = { name, labels: {}, annotations: {}, uid: name, resourceVersion: '1', generation: 1, createdAt: at, updatedAt: at };
  const object = { kind: 'Node', name: source, uid: source };
  return {
    apiVersion: API_VERSION,
    kind: 'Event',
    metadata,
    object,
    type: 'Normal',
    reason,
    message: '',
    count: 1,
    firstSeen: at,
    lastSeen: at,
  };
}

const happening = fc.record({ source: fc.constantFrom('a', 'b', 'c', 'd'), reason: fc.constantFrom('1', '2', '3', '4', '5') });

test('an index keeps of each object what last happened, of all what last happened, and hands the rest over to be deleted', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), fc.nat(60), (happenings, split) => {
      const before = happenings.slice(0, split).map(({ source, reason }, atMs) => eventOf(source, reason, atMs));
      // as a store has it: each Event once, by name
      const stored = [...new Map(before.map((event) => [event.metadata.name, event])).values()];
      const index = new EventIndex(
        LIMITS,
        stored.toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1)),
      );
      const names = new Set(stored.map(({ metadata }) => metadata.name));
      for (const [offset, { source, reason }] of happenings.slice(split).entries()) {
        index.put(eventOf(source, reason, split + offset));
        names.add(`${source}.${reason}`);
        assert.ok(index.has(`${source}.${reason}`), 'what just happened is there');
      }
      const kept = [...names].filter((name) => index.has(name));
      const excess = index.takeExcess(Infinity).map(({ metadata }) => metadata.name);
      assert.deepEqual([...kept, ...excess].toSorted(), [...names].toSorted(), 'each is either kept or handed over');
      assert.ok(index.size <= LIMITS.total && kept.length === index.size);
      const lastOf = (name: string) => happenings.findLastIndex(({ source, reason }) => `${source}.${reason}` === name);
      for (const source of ['a', 'b', 'c', 'd']) {
        const own = kept.filter((name) => name.startsWith(source));
        assert.ok(own.length <= LIMITS.perSource);
        const gone = excess.filter((name) => name.startsWith(source));
        assert.ok(
          own.every((name) => gone.every((other) => lastOf(other) < lastOf(name))),
          'what goes is older than what stays',
        );
      }
    }),
  );
});

test('expire() takes out what is older than the limit, and nothing that is not', () => {
  const index = new EventIndex(LIMITS, [eventOf('a', '1', 500), eventOf('b', '2', 0)]);
  index.expire(1000);
  assert.equal(index.hasExcess, false);
  index.expire(1001);
  assert.deepEqual(
    index.takeExcess(9).map(({ metadata }) => metadata.name),
    ['b.2'],
  );
  assert.equal(index.has('a.1'), true);
});

test('put() brings back what was taken out and not handed over yet: it is still stored', () => {
  const index = new EventIndex({ ...LIMITS, perSource: 1 }, [eventOf('a', '1', 0), eventOf('a', '2', 1)]);
  assert.equal(index.has('a.1'), false);
  assert.equal(index.find('a.1')?.metadata.resourceVersion, '1');
  index.put(eventOf('a', '1', 2));
  assert.deepEqual(
    index.takeExcess(9).map(({ metadata }) => metadata.name),
    ['a.2'],
  );
});
