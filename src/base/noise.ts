/** Noise: bytes that nothing on the way can make smaller, for measuring. No secrets. */
import type { Random } from './random.ts';

/** Of one chunk; eight times the window of gzip, so that repeating it does not help a compressing proxy either. */
const CHUNK_BYTES = 256 * 1024;

/** Makes streams of noise. The chunks are views of one buffer, filled at the first use (a millisecond): readers must not write to them. */
export function createNoise(random: Random): (bytes: number) => Generator<Uint8Array> {
  let filled: Uint8Array | undefined;
  return function* noise(bytes) {
    filled ??= fill(random);
    for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
      yield filled.subarray(0, Math.min(left, CHUNK_BYTES));
    }
  };
}

function fill(random: Random): Uint8Array {
  const words = new Uint32Array(CHUNK_BYTES / Uint32Array.BYTES_PER_ELEMENT);
  for (let index = 0; index < words.length; index += 1) {
    words[index] = random.next() * 2 ** 32;
  }
  return new Uint8Array(words.buffer);
}
