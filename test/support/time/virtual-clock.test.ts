import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from './virtual-clock.ts';

const signal = new AbortController().signal;

test('advance() wakes sleepers in order of their deadlines, each at its own time', async () => {
  const clock = new VirtualClock();
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms, signal);
    woken.push(`${name}@${clock.monotonicMs()}`);
  };
  const all = [sleeper('late', 300), sleeper('first', 100), sleeper('second', 100)];
  await clock.advance(200);
  assert.deepEqual(woken, ['first@100', 'second@100']);
  await clock.advance(100);
  await Promise.all(all);
  assert.deepEqual(woken, ['first@100', 'second@100', 'late@300']);
  assert.equal(clock.sleepers, 0);
});

test('advance() counts sleeps that begin on the way', async () => {
  const clock = new VirtualClock();
  let beats = 0;
  const loop = (async () => {
    while (beats < 5) {
      await clock.sleep(10, signal);
      beats += 1;
    }
  })();
  await clock.advance(50);
  await loop;
  assert.equal(beats, 5);
  assert.equal(clock.monotonicMs(), 50);
});

test('sleep() rejects with the reason of the signal, and leaves no sleeper', async () => {
  const clock = new VirtualClock();
  const controller = new AbortController();
  const sleeping = clock.sleep(1000, controller.signal);
  controller.abort(new Error('stopping'));
  await assert.rejects(sleeping, /stopping/u);
  assert.equal(clock.sleepers, 0);
});

test('jumpWall() moves the wall clock alone', () => {
  const clock = new VirtualClock(0);
  clock.jumpWall(86_400_000);
  assert.equal(clock.wallMs(), 86_400_000);
  assert.equal(clock.monotonicMs(), 0);
});
