import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeaseTable, NO_LEASE, type Leased } from './lease-table.ts';

interface Holder extends Leased<Holder> {
  readonly name: string;
}

function holderOf(name: string): Holder {
  return { name, ...NO_LEASE };
}

test('takeExpired() returns a node exactly at its deadline, and only once', () => {
  const leases = new LeaseTable<Holder>(90_000);
  const a = holderOf('a');
  leases.renew(a, 0);
  assert.deepEqual(leases.takeExpired(89_999), []);
  assert.deepEqual(leases.takeExpired(90_000), [a]);
  assert.deepEqual(leases.takeExpired(1e9), []);
});

test('a lease lasts for the whole timeout where the clock has fractions of a millisecond', () => {
  const leases = new LeaseTable<Holder>(100);
  const a = holderOf('a');
  leases.renew(a, 0.4);
  assert.deepEqual(leases.takeExpired(100.3), []);
  assert.deepEqual(leases.takeExpired(101), [a]);
});

test('credit() moves every lease that was there, and none that is renewed later', () => {
  const leases = new LeaseTable<Holder>(100);
  const before = holderOf('before');
  const after = holderOf('after');
  leases.renew(before, 0);
  leases.credit(50);
  leases.renew(after, 50);
  assert.equal(leases.deadlineMs(before), 150);
  assert.equal(leases.deadlineMs(after), 150);
  assert.equal(leases.nextDeadlineMs(), 150);
});

test('LeaseTable refuses a timeout that is not above 0', () => {
  for (const timeoutMs of [0, -1, Number.NaN]) {
    assert.throws(() => new LeaseTable(timeoutMs), RangeError);
  }
});

test('LeaseTable does what a naive table of deadlines does, whatever the order of calls', () => {
  const operation = fc.record({
    kind: fc.constantFrom('renew', 'expire', 'delete', 'stall'),
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    stepMs: fc.nat({ max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const leases = new LeaseTable<Holder>(100);
      const holders = new Map(['a', 'b', 'c', 'd'].map((name) => [name, holderOf(name)]));
      const naive = new Map<Holder, number>();
      let nowMs = 0;
      for (const { kind, name, stepMs } of operations) {
        const holder = holders.get(name) ?? holderOf(name);
        nowMs += stepMs;
        if (kind === 'renew') {
          assert.equal(leases.renew(holder, nowMs), !naive.has(holder));
          naive.set(holder, nowMs + 100);
        } else if (kind === 'delete') {
          leases.delete(holder);
          naive.delete(holder);
        } else if (kind === 'stall') {
          leases.credit(stepMs); // the step just made had no renewal in it
          naive.forEach((deadlineMs, each) => naive.set(each, deadlineMs + stepMs));
        } else {
          const expired = [...naive].filter(([, deadlineMs]) => deadlineMs <= nowMs).map(([each]) => each);
          assert.deepEqual(new Set(leases.takeExpired(nowMs)), new Set(expired));
          expired.forEach((each) => naive.delete(each));
        }
        assert.equal(leases.nextDeadlineMs(), Math.min(...naive.values(), Infinity));
        for (const each of holders.values()) {
          assert.equal(leases.deadlineMs(each), naive.get(each));
        }
      }
    }),
  );
});
