import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventNameOf, keyOf, type EventFact } from './event-fact.ts';
import { DNS_SUBDOMAIN, matches } from '../../api/names.ts';
import { EventTallies, type Tally } from './event-tallies.ts';

function factOf(name: string, reason: string, message = ''): EventFact {
  return { object: { kind: 'Node', name, uid: `uid-of-${name}` }, type: 'Normal', reason, message };
}

function tallyOf(fact: EventFact, atMs: number): Tally {
  return { fact, count: 1, firstSeenMs: atMs, lastSeenMs: atMs };
}

test('add() counts the same fact in one tally, with the newest message, whatever the wall clock does', () => {
  const tallies = new EventTallies({ perSource: 2, total: 2 });
  tallies.add(tallyOf(factOf('a', 'Up', 'first'), 200));
  tallies.add(tallyOf(factOf('a', 'Up', 'second'), 100));
  const expected = { fact: factOf('a', 'Up', 'second'), count: 2, firstSeenMs: 200, lastSeenMs: 100 };
  assert.deepEqual(
    tallies.take(9, () => true),
    [expected],
  );
});

test('add() counts a fact that is here already though there is no room for another', () => {
  const tallies = new EventTallies({ perSource: 2, total: 1 });
  assert.ok(tallies.add(tallyOf(factOf('a', 'Up'), 100)));
  assert.ok(!tallies.add(tallyOf(factOf('b', 'Up'), 200)));
  assert.ok(!tallies.add(tallyOf(factOf('a', 'Down'), 300)));
  assert.ok(tallies.add(tallyOf(factOf('a', 'Up'), 400)));
  const taken = tallies.take(9, () => true);
  assert.deepEqual(
    taken.map(({ fact, count }) => [fact.object.name, fact.reason, count]),
    [['a', 'Up', 2]],
  );
});

test('putBack() counts on under what happened meanwhile, which has the word', () => {
  const tallies = new EventTallies({ perSource: 2, total: 2 });
  tallies.add(tallyOf(factOf('a', 'Up', 'old'), 100));
  const taken = tallies.take(1, () => true);
  tallies.add(tallyOf(factOf('a', 'Up', 'new'), 200));
  taken.forEach((tally) => assert.ok(tallies.putBack(tally)));
  assert.deepEqual(
    tallies.take(1, () => true),
    [{ fact: factOf('a', 'Up', 'new'), count: 2, firstSeenMs: 100, lastSeenMs: 200 }],
  );
});

test('tallies keep to both bounds and lose no count of what they took in', () => {
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ name: fc.constantFrom('a', 'b', 'c'), reason: fc.constantFrom('R1', 'R2', 'R3', 'R4') }) },
    fc.nat(3),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const tallies = new EventTallies({ perSource: 2, total: 5 });
      const kept = new Map<string, number>();
      const taken = new Map<string, number>();
      const count = (counts: Map<string, number>, key: string, by: number) => counts.set(key, (counts.get(key) ?? 0) + by);
      const take = (limit: number): void => {
        const batch = tallies.take(limit, ({ fact }) => fact.reason !== 'R1');
        assert.ok(batch.length <= limit && batch.every(({ fact }) => fact.reason !== 'R1'));
        batch.forEach((tally) => count(taken, keyOf(tally.fact), tally.count));
      };
      for (const [atMs, next] of actions.entries()) {
        if (typeof next === 'number') {
          take(next);
        } else if (tallies.add(tallyOf(factOf(next.name, next.reason), atMs))) {
          count(kept, keyOf(factOf(next.name, next.reason)), 1);
        }
        assert.ok(tallies.size <= 5);
      }
      const perSource = new Map<string, number>();
      for (const { fact, count: times } of tallies.take(Infinity, () => true)) {
        count(taken, keyOf(fact), times);
        count(perSource, fact.object.name, 1);
      }
      assert.ok([...perSource.values()].every((size) => size <= 2));
      assert.deepEqual(taken, kept);
      assert.equal(tallies.size, 0);
      assert.ok(tallies.add(tallyOf(factOf('a', 'R1'), 0)) && tallies.add(tallyOf(factOf('a', 'R2'), 0)), 'room is given back');
    }),
  );
});

test('eventNameOf() gives a legal name, the same for the same thing and another for anything else', () => {
  const part = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/u).filter((name) => matches(DNS_SUBDOMAIN, name));
  const fact = fc.record({ name: part, reason: fc.constantFrom('Up', 'Down'), uid: fc.constantFrom('u1', 'u2') });
  const named = ({ name, reason, uid }: { name: string; reason: string; uid: string }) =>
    eventNameOf({ object: { kind: 'Node', name, uid }, type: 'Normal', reason });
  fc.assert(
    fc.property(fact, fact, (left, right) => {
      assert.ok(matches(DNS_SUBDOMAIN, named(left)), named(left));
      assert.equal(named(left), named({ ...left }));
      assert.equal(named(left) === named(right), JSON.stringify(left) === JSON.stringify(right));
    }),
  );
});
