import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';
import { inBatches, inTurns } from './in-turns.ts';

test('inTurns() takes every item once, and lets others in between', async () => {
  const items = Array.from({ length: 3000 }, (_, index) => index);
  const taken: number[] = [];
  let between: number | undefined;
  setImmediate(() => {
    between = taken.length;
  });
  await inTurns(items, (item) => taken.push(item), systemClock, new AbortController().signal);
  assert.deepEqual(taken, items);
  assert.ok(between !== undefined && between < items.length, `let in after ${between}`);
});

test('inTurns() ends between two turns when it is aborted', async () => {
  const stop = new AbortController();
  const taken: number[] = [];
  const work = inTurns(
    Array.from({ length: 3000 }, (_, index) => index),
    (item) => {
      taken.push(item);
      stop.abort(new Error('stopped'));
    },
    systemClock,
    stop.signal,
  );
  await assert.rejects(work);
  assert.ok(taken.length < 3000);
});

test('inBatches() takes every item once, never more than 64 at a time, and lets others in between', async () => {
  const items = Array.from({ length: 3000 }, (_, index) => index);
  const taken: number[] = [];
  let underWay = 0;
  let most = 0;
  let between: number | undefined;
  setImmediate(() => {
    between = taken.length;
  });
  const look = async (item: number): Promise<void> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await Promise.resolve();
    taken.push(item);
    underWay -= 1;
  };
  await inBatches(items, look, systemClock, new AbortController().signal);
  assert.deepEqual(taken, items);
  assert.equal(most, 64);
  assert.ok(between !== undefined && between < items.length, `let in after ${between}`);
});
