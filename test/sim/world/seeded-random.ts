/** Randomness from a seed: the same for a seed on every machine. */
import type { Random } from '../../../src/base/random.ts';

export class SeededRandom implements Random {
  readonly #label: string;
  #state: number;
  #uuids = 0;

  constructor(label: string) {
    this.#label = label;
    this.#state = hash(label);
  }

  /** Mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  uuid(): string {
    const hex = hash(`${this.#label}/${(this.#uuids += 1)}`)
      .toString(16)
      .padStart(8, '0');
    return `${hex}-0000-4000-8000-${String(this.#uuids).padStart(12, '0')}`;
  }

  /** A stream of its own, so that what one part draws changes nothing for the others. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.#label}/${label}`);
  }

  /** A whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) {
      throw new RangeError('Cannot pick one of none');
    }
    return item;
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}
