import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeaseTable } from './lease-table.ts';

test('takeExpired() returns a node exactly at its deadline, and only once', () => {
  const leases = new LeaseTable(90_000);
  leases.renew('a', 0);
  assert.deepEqual(leases.takeExpired(89_999), []);
  assert.deepEqual(leases.takeExpired(90_000), ['a']);
  assert.deepEqual(leases.takeExpired(1e9), []);
});

test('credit() moves every lease that was there, and none that is renewed later', () => {
  const leases = new LeaseTable(100);
  leases.renew('before', 0);
  leases.credit(50);
  leases.renew('after', 50);
  assert.equal(leases.deadlineMs('before'), 150);
  assert.equal(leases.deadlineMs('after'), 150);
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
    node: fc.constantFrom('a', 'b', 'c', 'd'),
    stepMs: fc.nat({ max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const leases = new LeaseTable(100);
      const naive = new Map<string, number>();
      let nowMs = 0;
      for (const { kind, node, stepMs } of operations) {
        nowMs += stepMs;
        if (kind === 'renew') {
          assert.equal(leases.renew(node, nowMs), !naive.has(node));
          naive.set(node, nowMs + 100);
        } else if (kind === 'delete') {
          leases.delete(node);
          naive.delete(node);
        } else if (kind === 'stall') {
          leases.credit(stepMs); // the step just made had no renewal in it
          naive.forEach((deadlineMs, name) => naive.set(name, deadlineMs + stepMs));
        } else {
          const expired = [...naive].filter(([, deadlineMs]) => deadlineMs <= nowMs).map(([name]) => name);
          assert.deepEqual(leases.takeExpired(nowMs).toSorted(), expired.toSorted());
          expired.forEach((name) => naive.delete(name));
        }
        assert.equal(leases.nextDeadlineMs(), Math.min(...naive.values(), Infinity));
      }
    }),
  );
});
