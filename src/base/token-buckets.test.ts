import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenBuckets } from './token-buckets.ts';

test('take() gives a burst at once, then one per refill, to each key by itself', () => {
  const buckets = new TokenBuckets({ burst: 2, refillMs: 100 });
  assert.deepEqual(
    [0, 0, 0, 99, 100, 100, 200].map((nowMs) => buckets.take('a', nowMs)),
    [true, true, false, false, true, false, true],
  );
  assert.equal(buckets.take('b', 200), true);
});

test('forgetFull() drops a bucket once it is full again, and not before', () => {
  const buckets = new TokenBuckets({ burst: 2, refillMs: 100 });
  buckets.take('a', 0);
  buckets.forgetFull(99);
  assert.equal(buckets.size, 1);
  buckets.forgetFull(100);
  assert.equal(buckets.size, 0);
});

test('take() never gives more than burst + elapsed / refill in any stretch of time, forgetting or not', () => {
  const step = fc.record({ waitMs: fc.nat(500), isForgetting: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 5 }), (steps, burst) => {
      const buckets = new TokenBuckets({ burst, refillMs: 100 });
      const taken: number[] = [];
      let nowMs = 0;
      for (const { waitMs, isForgetting } of steps) {
        nowMs += waitMs;
        if (isForgetting) {
          buckets.forgetFull(nowMs);
        }
        if (buckets.take('a', nowMs)) {
          taken.push(nowMs);
        }
      }
      for (const [index, beginMs] of taken.entries()) {
        for (let last = index; last < taken.length; last += 1) {
          assert.ok(last - index + 1 <= burst + ((taken[last] ?? 0) - beginMs) / 100 + 1e-6);
        }
      }
    }),
  );
});
