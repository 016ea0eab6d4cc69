import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from './backoff.ts';
import { systemClock, withDeadline, type Clock } from './clock.ts';
import { jitter } from './random.ts';
import { Stopper } from './stopper.ts';
import { Wakeup } from './wakeup.ts';

const FOREVER = new AbortController().signal;
const never: Clock = {
  ...systemClock,
  sleep: (_ms, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
};

test('Wakeup.wait() returns at once when notified before, and only once', async () => {
  const wakeup = new Wakeup();
  wakeup.notify();
  wakeup.notify();
  await wakeup.wait(never, Infinity, FOREVER);
  let isWoken = false;
  const second = wakeup.wait(never, Infinity, FOREVER).then(() => (isWoken = true));
  await Promise.resolve();
  assert.equal(isWoken, false);
  wakeup.notify();
  await second;
});

test('Wakeup.wait() throws the reason when aborted, before and during the wait', async () => {
  const controller = new AbortController();
  const waiting = new Wakeup().wait(never, 1000, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/u);
  await assert.rejects(new Wakeup().wait(never, 1000, controller.signal), /stop/u);
});

test('Wakeup.wait() returns when its time is over', async () => {
  await new Wakeup().wait(systemClock, 1, FOREVER);
});

test('Stopper.stop() aborts every loop and waits until all have ended', async () => {
  const ended: string[] = [];
  const stopper = new Stopper(() => assert.fail('no crash expected'));
  for (const name of ['a', 'b']) {
    stopper.spawn(name, async (signal) => {
      await never.sleep(1, signal).catch(() => undefined);
      ended.push(name);
      signal.throwIfAborted();
    });
  }
  assert.deepEqual(stopper.names, ['a', 'b']);
  await stopper.stop();
  assert.deepEqual(ended, ['a', 'b']);
  assert.deepEqual(stopper.names, []);
});

test('Stopper tells a loop that crashed, by name', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  new Stopper((name, error) => resolve(`${name}: ${String(error)}`)).spawn('broken', () => Promise.reject(new Error('bug')));
  assert.equal(await promise, 'broken: Error: bug');
});

test('withDeadline() aborts with the outer reason, after its time, and leaves nothing once disposed', async () => {
  const outer = new AbortController();
  using first = withDeadline(never, 1000, outer.signal);
  outer.abort(new Error('outer'));
  assert.match(String(first.signal.reason), /outer/u);
  using second = withDeadline(systemClock, 1, FOREVER);
  await new Promise((resolve) => second.signal.addEventListener('abort', resolve));
  assert.equal((second.signal.reason as Error).name, 'TimeoutError');
});

test('Backoff.nextMs() never passes the cap, never is zero, and grows until the cap', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 50 }), (draws) => {
      const queue = [...draws];
      const backoff = new Backoff({ baseMs: 100, capMs: 5000 }, { next: () => queue.shift() ?? 0, uuid: () => '' });
      for (let failure = 0; failure < draws.length; failure += 1) {
        const bound = Math.min(5000, 100 * 2 ** failure);
        const waitMs = backoff.nextMs();
        assert.ok(waitMs >= bound * 0.1 && waitMs <= bound);
      }
      backoff.reset();
      assert.ok(backoff.nextMs() <= 100);
    }),
  );
});

test('jitter() stays within its fraction', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), (draw) => {
      const value = jitter({ next: () => draw, uuid: () => '' }, 30_000, 0.1);
      assert.ok(value >= 27_000 && value <= 33_000);
    }),
  );
});
