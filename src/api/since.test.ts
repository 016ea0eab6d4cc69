import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSince } from './since.ts';

const NOW_MS = Date.UTC(2027, 0, 1, 12);

test('parseSince() counts a duration back from now', () => {
  assert.equal(parseSince('10m', NOW_MS), NOW_MS - 600_000);
  assert.equal(parseSince('1h30m', NOW_MS), NOW_MS - 5_400_000);
});

test('parseSince() reads an RFC 3339 time with any offset', () => {
  assert.equal(parseSince('2027-01-01T12:00:00Z', NOW_MS), NOW_MS);
  assert.equal(parseSince('2027-01-01T14:00:00.000+02:00', NOW_MS), NOW_MS);
});

test('parseSince() takes nothing else for a time', () => {
  for (const text of [
    '',
    '10',
    '10 m',
    '-10m',
    'yesterday',
    '2027-01-01',
    '2027-13-01T00:00:00Z',
    '2027-01-01T00:00:00',
    `${'1'.repeat(99)}m`,
  ]) {
    assert.equal(parseSince(text, NOW_MS), undefined, text);
  }
});
