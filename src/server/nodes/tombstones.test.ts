import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tombstones } from './tombstones.ts';

const DAY_MS = 24 * 3_600_000;

test('listForgettable() names those silent for 30 days, and none whose agent still calls', () => {
  const tombstones = new Tombstones();
  tombstones.add('silent', 1, 0);
  tombstones.add('calling', 2, 0);
  assert.deepEqual(tombstones.listForgettable(29 * DAY_MS), []);
  assert.equal(tombstones.touch('calling', 29 * DAY_MS), true);
  assert.deepEqual(tombstones.listForgettable(31 * DAY_MS), ['silent']);
  assert.equal(tombstones.findVersion('calling'), 2);
});

test('listForgettable() makes room for one more at 10,000: the least recently heard of goes first', () => {
  const tombstones = new Tombstones();
  for (let index = 0; index < 10_001; index += 1) {
    tombstones.add(`node-${index}`, index, index);
  }
  tombstones.touch('node-0', 20_000);
  assert.deepEqual(tombstones.listForgettable(20_000), ['node-1', 'node-2']);
});

test('touch() and findVersion() know nothing of a node that was made anew', () => {
  const tombstones = new Tombstones();
  tombstones.add('a', 1, 0);
  tombstones.delete('a');
  assert.equal(tombstones.touch('a', 1), false);
  assert.equal(tombstones.findVersion('a'), undefined);
});
