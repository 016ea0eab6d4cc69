/**
 * Token buckets: how often each of many keys may do something; a bucket per key, made full when the key is first seen.
 *
 * Owns     per key that is not full: its tokens and when they were counted. A full bucket is no different from none, and is dropped.
 * Never    reads a clock.
 */
export interface TokenBucketOptions {
  /** tokens of a full bucket: how much may be done at once */
  readonly burst: number;
  /** ms until one token more, up to the full bucket */
  readonly refillMs: number;
}

interface Bucket {
  tokens: number;
  /** monotonic ms */
  countedAtMs: number;
}

export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  /** Buckets that are kept. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token if there is one. @param nowMs monotonic @returns whether there was */
  take(key: string, nowMs: number): boolean {
    const tokens = this.#count(key, nowMs);
    if (tokens < 1) {
      return false;
    }
    this.#buckets.set(key, { tokens: tokens - 1, countedAtMs: nowMs });
    return true;
  }

  /** Drops the buckets that are full again; call it now and then. */
  forgetFull(nowMs: number): void {
    for (const key of this.#buckets.keys()) {
      if (this.#count(key, nowMs) >= this.#options.burst) {
        this.#buckets.delete(key);
      }
    }
  }

  #count(key: string, nowMs: number): number {
    const { burst, refillMs } = this.#options;
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (nowMs - bucket.countedAtMs) / refillMs);
  }
}
