/**
 * Login limit: how many failed logins an address, and a credential's id, may have. Who shows a good credential is never held up: this
 * bounds what guessing and broken clients cost (store reads, signatures, log lines), as nobody guesses 256 bits.
 *
 * Owns     buckets per address and per id; bounded.
 */
import type { Clock } from '../../base/clock.ts';
import { TokenBuckets } from '../../base/token-buckets.ts';

const PER_ADDRESS = { burst: 30, refillMs: 2000 }; // a fleet behind one NAT address whose credentials all ran out at once gets through
const PER_ID = { burst: 10, refillMs: 5000 };
const MAX_KEYS = 10_000; // some 1 MB each
const TIDY_EVERY = 1000; // failures

export class LoginLimit {
  readonly #clock: Clock;
  readonly #addresses = new TokenBuckets(PER_ADDRESS);
  readonly #ids = new TokenBuckets(PER_ID);
  #failures = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a failure, or an attempt that costs as much. @returns how long to wait, in milliseconds; undefined: go on */
  note(address: string | undefined, id?: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.#failures += 1;
    if (this.#failures % TIDY_EVERY === 0) {
      this.#addresses.forgetFull(nowMs);
      this.#ids.forgetFull(nowMs);
    }
    const mayAddress = this.#addresses.take(bounded(this.#addresses, networkOf(address ?? 'local')), nowMs);
    const mayId = id === undefined || this.#ids.take(bounded(this.#ids, id), nowMs);
    return mayAddress && mayId ? undefined : mayAddress ? PER_ID.refillMs : PER_ADDRESS.refillMs;
  }
}

/** One bucket for all that come when there are too many. */
function bounded(buckets: TokenBuckets, key: string): string {
  return buckets.size < MAX_KEYS ? key : 'others';
}

/** Of an IPv6 address the /64: that much one customer has. */
function networkOf(address: string): string {
  return address.includes(':') ? address.split(':').slice(0, 4).join(':') : address;
}
