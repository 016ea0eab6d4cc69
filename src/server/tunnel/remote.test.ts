import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { readRefusal } from './remote.ts';

async function* cutAfter(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
  await Promise.resolve();
  throw new Error('premature close');
}

test('readRefusal() takes the words of an answer, and its status alone where they are cut short', async () => {
  const words = JSON.stringify({ status: 409, reason: 'Conflict', detail: 'Cannot connect to port 9' });
  const whole = await readRefusal(409, Readable.from([Buffer.from(words)]));
  assert.deepEqual([whole.status, whole.message], [409, 'Cannot connect to port 9']);
  const spoken = await readRefusal(409, Readable.from(cutAfter(words)));
  assert.deepEqual([spoken.status, spoken.message], [409, 'Cannot connect to port 9']);
  assert.equal((await readRefusal(503, Readable.from(cutAfter(words.slice(0, 10))))).status, 503);
});
