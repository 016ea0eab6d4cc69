/**
 * Request limit: how often one credential may ask, so that a script that has run wild keeps no other out. A person, a pipeline or an agent
 * does not come near it. Heartbeats as agents send them are not counted: to take one in costs no more than to refuse it.
 *
 * Owns     a bucket per credential that has asked lately.
 * Callers  http/guard.ts
 */
import type { Clock } from '../../base/clock.ts';
import { TokenBuckets } from '../../base/token-buckets.ts';

const PER_CREDENTIAL = { burst: 2000, refillMs: 5 }; // 200 a second, and a folder of 2,000 manifests at once
const TIDY_EVERY = 10_000; // requests
const RETRY_AFTER_MS = 1000;

export class RequestLimit {
  readonly #clock: Clock;
  readonly #buckets = new TokenBuckets(PER_CREDENTIAL);
  #requests = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a request. @param id of the credential @returns how long to wait, in milliseconds; undefined: go on */
  note(id: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.#requests += 1;
    if (this.#requests % TIDY_EVERY === 0) {
      this.#buckets.forgetFull(nowMs);
    }
    return this.#buckets.take(id, nowMs) ? undefined : RETRY_AFTER_MS;
  }
}
