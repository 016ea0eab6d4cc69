/** Capped exponential back-off with full jitter: the n-th wait is uniform in (0, min(cap, base x 2^n)]. */
import type { Random } from './random.ts';

export interface BackoffOptions {
  /** upper bound of the first wait, in milliseconds */
  readonly baseMs: number;
  /** upper bound of any wait, in milliseconds */
  readonly capMs: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: Random;
  #failures = 0;

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure. @returns how long to wait before the next try, in milliseconds */
  nextMs(): number {
    const bound = Math.min(this.#options.capMs, this.#options.baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    // never zero: a tenth of the bound keeps a crowd of failing callers from spinning
    return bound * (0.1 + 0.9 * this.#random.next());
  }

  reset(): void {
    this.#failures = 0;
  }
}
