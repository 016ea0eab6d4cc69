import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ageOf, formatAge, formatLongAge, timeWithAge } from './age.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test("formatAge() writes one unit, as the guide's table does", () => {
  const cases = [
    [2 * HOUR, '2h'],
    [5 * MINUTE, '5m'],
    [10 * MINUTE, '10m'],
    [3 * DAY, '3d'],
    [59_999, '59s'],
    [MINUTE, '1m'],
    [2 * HOUR - 1, '1h'],
    [0, '0s'],
    [-5000, '0s'],
    [800 * DAY, '2y'],
  ] as const;
  for (const [ms, expected] of cases) {
    assert.equal(formatAge(ms), expected);
  }
});

test('formatLongAge() adds the next smaller unit where there is some of it', () => {
  assert.equal(formatLongAge(2 * HOUR + 3 * MINUTE), '2h3m');
  assert.equal(formatLongAge(2 * HOUR + 59_000), '2h');
  assert.equal(formatLongAge(42_000), '42s');
  assert.equal(formatLongAge(-1), '0s');
  assert.equal(formatLongAge(5 * DAY + HOUR), '5d1h');
});

test('formatLongAge() begins with what formatAge() says', () => {
  fc.assert(fc.property(fc.integer({ min: -DAY, max: 3000 * DAY }), (ms) => formatLongAge(ms).startsWith(formatAge(ms))));
});

test('ageOf() and timeWithAge() get by without a time and with one that is none', () => {
  const nowMs = Date.UTC(2026, 0, 2);
  assert.equal(ageOf('2026-01-01T00:00:00Z', nowMs), '1d');
  assert.equal(ageOf(undefined, nowMs), '-');
  assert.equal(ageOf('soon', nowMs), '-');
  assert.equal(timeWithAge('2026-01-01T23:00:00Z', nowMs), '2026-01-01T23:00:00Z (1h ago)');
  assert.equal(timeWithAge(undefined, nowMs), 'never');
});
