import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createNoise } from './noise.ts';
import { systemRandom } from './random.ts';

test('createNoise() makes exactly the bytes asked for', () => {
  const noise = createNoise(systemRandom);
  for (const bytes of [0, 1, 262_144, 262_145, 1_000_000]) {
    assert.equal(Buffer.concat([...noise(bytes)]).length, bytes);
  }
});

test('createNoise() makes bytes that gzip cannot make smaller, also where they repeat', () => {
  const bytes = Buffer.concat([...createNoise(systemRandom)(1_048_576)]);
  assert.ok(gzipSync(bytes).length >= bytes.length);
});
