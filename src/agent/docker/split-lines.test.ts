import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { splitLines } from './split-lines.ts';

async function split(chunks: readonly Uint8Array[]): Promise<string[]> {
  const lines: string[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const line of splitLines(source)) {
    lines.push(line);
  }
  return lines;
}

test('splitLines() gives the same lines however the bytes are cut, also within a character', async () => {
  const lines = ['{"a":1}', '{"b":"ü€😀"}', '{"c":"\\n"}'];
  const bytes = Buffer.from(`${lines.join('\r\n')}\n`);
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length), fc.nat(bytes.length), async (one, other) => {
      const [left, right] = [Math.min(one, other), Math.max(one, other)];
      assert.deepEqual(await split([bytes.subarray(0, left), bytes.subarray(left, right), bytes.subarray(right)]), lines);
    }),
  );
});

test('splitLines() leaves out blank lines and gives a last one without an end', async () => {
  assert.deepEqual(await split([Buffer.from('\n\r\na\n\nb')]), ['a', 'b']);
});

test('splitLines() refuses a line without end instead of keeping all of it', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  await assert.rejects(split([chunk, chunk, chunk, chunk, chunk]), RangeError);
});
