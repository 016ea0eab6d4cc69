import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FenceLedger } from './fence-ledger.ts';

const TIMEOUT_MS = 90_000;
const AFTER_MS = 180_000;

function createLedger(options: { readonly earlierTimeoutMs?: number; readonly longestAfterMs?: number } = {}): FenceLedger {
  const { earlierTimeoutMs = 0, longestAfterMs = AFTER_MS } = options;
  return new FenceLedger({ startedAtMs: 1000, timeoutMs: TIMEOUT_MS, earlierTimeoutMs, longestAfterMs: () => longestAfterMs });
}

test('leftMs() counts the heartbeat timeout and the after from the last grant', () => {
  const ledger = createLedger();
  assert.ok(ledger.grant('a', 'm1', 5000));
  assert.equal(ledger.leftMs('a', AFTER_MS, 5000), TIMEOUT_MS + AFTER_MS);
  assert.equal(ledger.leftMs('a', AFTER_MS, 5000 + TIMEOUT_MS + AFTER_MS), 0);
  assert.equal(ledger.leftMs('a', Infinity, 1e12), Infinity);
});

test('leftMs() takes a name it never granted to have been granted at the start, under the longest timeout of before', () => {
  assert.equal(createLedger().leftMs('a', AFTER_MS, 1000), TIMEOUT_MS + AFTER_MS);
  assert.equal(createLedger({ earlierTimeoutMs: 600_000 }).leftMs('a', AFTER_MS, 1000), 600_000 + AFTER_MS);
});

test('a new leader counts what its predecessor may still grant until the start that it was given, also under its own grants', () => {
  let maySure = true;
  const ledger = new FenceLedger({
    startedAtMs: 3500,
    timeoutMs: TIMEOUT_MS,
    earlierTimeoutMs: 0,
    longestAfterMs: () => AFTER_MS,
    mayGrant: () => maySure,
  });
  assert.equal(ledger.leftMs('a', AFTER_MS, 1000), 2500 + TIMEOUT_MS + AFTER_MS);
  assert.ok(ledger.grant('a', 'm1', 1100));
  assert.equal(ledger.leftMs('a', AFTER_MS, 3500), TIMEOUT_MS + AFTER_MS);
  assert.ok(ledger.grant('a', 'm1', 4000));
  assert.equal(ledger.leftMs('a', AFTER_MS, 4000), TIMEOUT_MS + AFTER_MS);
  maySure = false;
  assert.equal(ledger.grant('a', 'm1', 5000), false, 'who does not lead for sure grants nothing');
  assert.equal(ledger.leftMs('a', AFTER_MS, 4000), TIMEOUT_MS + AFTER_MS);
});

test('grant() grants nothing while the name is closed, and again afterwards', () => {
  const ledger = createLedger();
  {
    using _first = ledger.close('a');
    using _second = ledger.close('a');
    assert.equal(ledger.grant('a', 'm1', 2000), false);
    assert.ok(ledger.grant('b', 'm1', 2000));
  }
  assert.ok(ledger.grant('a', 'm1', 2000));
});

test('grant() keeps another machine of the name waiting until the one before it has fenced itself', () => {
  const ledger = createLedger();
  assert.ok(ledger.grant('a', 'm1', 5000));
  const freeAtMs = 5000 + TIMEOUT_MS + AFTER_MS;
  assert.equal(ledger.grant('a', 'm2', freeAtMs - 1), false);
  assert.ok(ledger.grant('a', 'm2', freeAtMs));
  assert.equal(ledger.grant('a', 'm1', freeAtMs + 1), false, 'and then the other way round');
});

test('grant() keeps whoever comes waiting under a name whose holder was forgotten, and no one where nothing is fenced', () => {
  const ledger = createLedger();
  ledger.seed('a', undefined);
  assert.equal(ledger.grant('a', 'm1', 2000), false);
  const plain = createLedger({ longestAfterMs: 0 - TIMEOUT_MS });
  plain.seed('a', 'm1');
  assert.ok(plain.grant('a', 'm2', 2000));
});

test('grant() law: when leftMs() is 0, every grant to anyone is older than the timeout and the after', () => {
  const step = fc.record({ waitMs: fc.nat(400_000), holder: fc.constantFrom('m1', 'm2', undefined), isClosed: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ledger = createLedger();
      const granted = new Map<string | undefined, number>();
      let nowMs = 1000;
      for (const { waitMs, holder, isClosed } of steps) {
        nowMs += waitMs;
        using _closed = isClosed ? ledger.close('a') : undefined;
        if (ledger.grant('a', holder, nowMs)) {
          for (const [other, atMs] of granted) {
            assert.ok(other === holder || nowMs >= atMs + TIMEOUT_MS + AFTER_MS, 'two machines of one name never overlap');
          }
          granted.set(holder, nowMs);
        }
        if (ledger.leftMs('a', AFTER_MS, nowMs) === 0) {
          assert.ok([...granted.values()].every((atMs) => nowMs >= atMs + TIMEOUT_MS + AFTER_MS));
        }
      }
    }),
  );
});
