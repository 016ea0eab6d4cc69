import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from './turn.ts';

const NEVER = new AbortController().signal;

test('run() begins a piece of work when the one before has ended, though that failed', async () => {
  const turn = new Turn();
  const said: string[] = [];
  const { promise: gate, reject } = Promise.withResolvers<void>();
  const first = turn.run(async () => {
    said.push('first begins');
    await gate;
  }, NEVER);
  const second = turn.run(() => Promise.resolve(void said.push('second begins')), NEVER);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(said, ['first begins']);
  reject(new Error('no room'));
  await assert.rejects(first, /no room/u);
  await second;
  assert.deepEqual(said, ['first begins', 'second begins']);
});

test('run() leaves out work that was called off before its turn', async () => {
  const turn = new Turn();
  await assert.rejects(
    turn.run(() => assert.fail('begun'), AbortSignal.abort(new Error('called off'))),
    /called off/u,
  );
});
