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

/** Marsaglia's xorshift, in 32-bit integers: 65,536 calls of `random` leave 5 MB of garbage numbers behind. */
function fill(random: Random): Uint8Array {
  const words = new Int32Array(CHUNK_BYTES / Int32Array.BYTES_PER_ELEMENT);
  let state = Math.floor(random.next() * 2 ** 31) | 1; // never 0, where it would stay
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer);
}
