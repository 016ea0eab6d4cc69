import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LogLine } from '../../api/log-record.ts';
import { createRepeatFilter } from './repeat-filter.ts';

function line(n: number, more: Partial<LogLine> = {}): LogLine {
  return { type: 'line', stream: 'stdout', time: `2027-01-01T00:00:00.${String(n).padStart(9, '0')}Z`, text: `line ${n}`, ...more };
}

const still = { wallMs: () => 0, monotonicMs: () => 0 };

describe('createRepeatFilter()', () => {
  it('createRepeatFilter() tells each record once, however far the engine goes back, and loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(8)), { maxLength: 30 }), (steps) => {
        const log: LogLine[] = [];
        const told: LogLine[] = [];
        for (const [ahead, back] of steps) {
          const end = log.length + ahead;
          for (let n = log.length; n < end; n += 1) {
            log.push(line(n, { stream: n % 3 === 0 ? 'stderr' : 'stdout' }));
          }
          told.push(...log.slice(Math.max(0, end - ahead - back), end));
        }
        const filter = createRepeatFilter(still);
        assert.deepEqual(
          told.flatMap((one) => filter([one])),
          log,
        );
      }),
    );
  });

  it('createRepeatFilter() keeps the pieces of a long line, which share their time and may look the same', () => {
    const pieces = [line(1, { text: 'x', isPartial: true }), line(1, { text: 'x', isPartial: true }), line(1, { text: 'x' })];
    assert.deepEqual(createRepeatFilter(still)(pieces), pieces);
  });

  it('createRepeatFilter() takes what is older for new once the clock was set back', () => {
    const clock = { wall: 100_000, monotonic: 0, wallMs: () => clock.wall, monotonicMs: () => clock.monotonic };
    const filter = createRepeatFilter(clock);
    assert.equal(filter([line(500)]).length, 1);
    clock.monotonic += 1000;
    clock.wall += 999; // slewed
    assert.equal(filter([line(400)]).length, 0);
    clock.monotonic += 1000;
    clock.wall -= 3000;
    assert.equal(filter([line(400)]).length, 1);
  });
});
