import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { durationToMs, formatDuration } from './duration.ts';

test('durationToMs() reads each documented form', () => {
  for (const [text, ms] of [
    ['300ms', 300],
    ['90s', 90_000],
    ['3m', 180_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['1m500ms', 60_500],
    ['0s', 0],
  ] as const) {
    assert.equal(durationToMs(text), ms, text);
  }
});

test('durationToMs() refuses what has no unit, a wrong one, or a wrong order', () => {
  for (const text of ['', '30', '5d', '30m1h', '-1s', '1.5s', ' 1s', '1 s', 's', '1s1s']) {
    assert.throws(() => durationToMs(text), /300ms, 90s, 3m, 2h or 1h30m/u, text);
  }
});

test('formatDuration() writes what reads back as the same', () => {
  fc.assert(fc.property(fc.nat(), (ms) => assert.equal(durationToMs(formatDuration(ms)), ms)));
});
