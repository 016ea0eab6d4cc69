import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { createClockMeter } from './clock-meter.ts';
import { deriveClockSkew, toClockCondition, type ClockSkew } from './clock-skew.ts';

const DAY_MS = 86_400_000;

function conditionOf(skewMs: number): string {
  const skew = deriveClockSkew(undefined, { skewMs, roundTripMs: 10 });
  const condition = skew && toClockCondition(skew);
  return condition === undefined ? 'none' : `${condition.status} ${condition.reason} ${condition.message}`;
}

test('toClockCondition() says by how much and which way', () => {
  assert.match(conditionOf(2 * DAY_MS), /^True ClockBehind This machine's clock is 48h behind the server's: .*NTP$/u);
  assert.match(conditionOf(-6400), /^True ClockAhead This machine's clock is 6s ahead of the server's/u);
  assert.equal(conditionOf(4900), 'none');
});

test('deriveClockSkew() begins above 5 s, ends below 4 s, and gives the clock the benefit of a slow round trip', () => {
  const after = (...samples: readonly (readonly [skewMs: number, roundTripMs: number])[]): boolean =>
    samples.reduce<ClockSkew | undefined>((skew, [skewMs, roundTripMs]) => deriveClockSkew(skew, { skewMs, roundTripMs }), undefined)
      ?.isSkewed ?? false;
  assert.equal(after([5000, 0]), false);
  assert.equal(after([5001, 0]), true);
  assert.equal(after([8000, 6000]), false); // may be 5 s
  assert.equal(after([5001, 0], [4001, 0]), true);
  assert.equal(after([5001, 0], [3999, 0]), false);
  assert.equal(after([5001, 0], [3000, 4000]), true); // may be 5 s still
});

test('deriveClockSkew() tells the same of a clock that is steadily wrong, however the measurements scatter', () => {
  fc.assert(
    fc.property(
      fc
        .oneof(fc.integer({ min: -60_000, max: 60_000 }), fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }))
        .filter((ms) => Math.abs(ms) > 7000),
      fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 30 }),
      (trueMs, errors) => {
        let skew = deriveClockSkew(undefined, { skewMs: trueMs, roundTripMs: 800 });
        const first = skew && toClockCondition(skew).message;
        for (const error of errors) {
          skew = deriveClockSkew(skew, { skewMs: trueMs + error, roundTripMs: 800 });
        }
        assert.equal(skew && toClockCondition(skew).message, first);
      },
    ),
  );
});

describe('createClockMeter()', () => {
  /** A meter whose server's clock is `aheadMs` ahead and whose network takes `oneWayMs` each way. */
  function setUp() {
    const clock = new VirtualClock();
    const server = { aheadMs: 0, oneWayMs: 50, says: undefined as string | undefined, jumpMs: 0 };
    let changes = 0;
    const meter = createClockMeter({ clock, log: silentLog, onChange: () => (changes += 1) });
    const fetch = meter.wrap(async () => {
      clock.stall(server.oneWayMs);
      const time = server.says ?? new Date(clock.wallMs() + server.aheadMs).toISOString();
      clock.stall(server.oneWayMs);
      clock.jumpWall(server.jumpMs);
      return { ok: true, status: 204, headers: new Headers({ 'cara-time': time }), body: null, text: async () => '' };
    });
    const ask = async (): Promise<string> => {
      await fetch('http://server', { method: 'POST', headers: {}, redirect: 'error', signal: new AbortController().signal });
      return meter.condition()?.status ?? 'none';
    };
    return { clock, server, ask, changes: () => changes };
  }

  test('createClockMeter() halves the round trip, however long', async () => {
    const { server, ask } = setUp();
    server.oneWayMs = 4000;
    assert.equal(await ask(), 'none');
    server.aheadMs = 10_000;
    assert.equal(await ask(), 'True');
  });

  test('createClockMeter() tells when the clocks part and when they agree again, once each', async () => {
    const { clock, server, ask, changes } = setUp();
    assert.deepEqual([await ask(), changes()], ['none', 0]);
    clock.jumpWall(-2 * DAY_MS);
    server.aheadMs = 2 * DAY_MS;
    assert.deepEqual([await ask(), await ask(), changes()], ['True', 'True', 1]);
    clock.jumpWall(2 * DAY_MS);
    server.aheadMs = 0;
    assert.deepEqual([await ask(), changes()], ['False', 2]);
  });

  test('createClockMeter() drops what it measured while somebody set the clock, and what is no time', async () => {
    const { server, ask } = setUp();
    server.jumpMs = 60_000;
    assert.equal(await ask(), 'none');
    server.jumpMs = 0;
    server.says = 'noon';
    assert.equal(await ask(), 'none');
  });
});
