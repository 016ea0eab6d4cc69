/** What happened, line by line, as a hash and its last lines: the same seed gives the same hash, on every machine. */
import { createHash, type Hash } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.ts';

const KEPT = 4000;

export class Trace {
  readonly #clock: Clock;
  readonly #hash: Hash = createHash('sha256');
  readonly #last: string[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(line: string): void {
    const timed = `${String(Math.round(this.#clock.monotonicMs())).padStart(8)} ${line}`;
    this.#hash.update(`${timed}\n`);
    this.#count += 1;
    this.#last.push(timed);
    if (this.#last.length > 2 * KEPT) {
      this.#last.splice(0, KEPT);
    }
  }

  get length(): number {
    return this.#count;
  }

  /** The last lines. */
  tail(lines: number): readonly string[] {
    return this.#last.slice(-lines);
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }
}
