/**
 * Restart back-off: when a step that failed, or that had to be done again, may be tried next.
 *
 * Owns     one entry per step key of a Project, in memory: a restarted agent tries everything at once, which costs one try.
 * Never    reads a clock.
 * Callers  step-runner.ts records; project-loop.ts hands the entries to plan, which names those still wanted: the others are dropped.
 */
import { Backoff, type BackoffOptions } from '../../base/backoff.ts';
import type { Random } from '../../base/random.ts';
import { EngineError, type EngineReason } from '../docker/engine-error.ts';
import type { Failure } from './failure.ts';
import { isEnginesFault } from './step-failure.ts';

export interface BackoffEntry {
  /** Monotonic ms before which the step is not to be tried. */
  readonly notBeforeMs: number;
  /** How long that is after the last try. */
  readonly pauseMs: number;
  /** What went wrong the last time; undefined when it went well, or the fault lay elsewhere. */
  readonly failure: Failure | undefined;
  /** Failures in a row. */
  readonly failures: number;
  /** How many of them were due to what was asked for, and not to an engine in trouble. */
  readonly refusals: number;
}

const STEP: BackoffOptions = { baseMs: 1000, capMs: 60_000 };
const PULL: BackoffOptions = { baseMs: 5000, capMs: 300_000 };
/** A registry that refuses us: tried every few seconds, some ban the whole site. */
const REFUSED_PULL: BackoffOptions = { baseMs: 60_000, capMs: 600_000 };

const OPTIONS_BY_REASON: Partial<Record<EngineReason, BackoffOptions>> = {
  PullDenied: REFUSED_PULL,
  TooManyRequests: REFUSED_PULL,
  PullFailed: PULL,
  ImageNotFound: PULL,
  NoSpace: PULL, // not a download every second onto a full disk
};

export class RestartBackoff {
  readonly #random: Random;
  readonly #entries = new Map<string, BackoffEntry & { readonly backoff: Backoff; readonly options: BackoffOptions }>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Step key -> entry. */
  get entries(): ReadonlyMap<string, BackoffEntry> {
    return this.#entries;
  }

  /** @param failure what it means for the Project, if anything */
  recordFailure(key: string, { error, failure }: { error: unknown; failure: Failure | undefined }, nowMs: number): BackoffEntry {
    const previous = this.#entries.get(key);
    const options = (error instanceof EngineError ? OPTIONS_BY_REASON[error.reason] : undefined) ?? STEP;
    const backoff = previous?.options === options ? previous.backoff : new Backoff(options, this.#random);
    const waitMs = backoff.nextMs();
    const askedMs = error instanceof EngineError ? error.retryAfterMs : undefined; // what the registry's gate says goes for all Projects alike
    const pauseMs = askedMs ?? waitMs;
    const failures = (previous?.failures ?? 0) + 1;
    const refusals = (previous?.refusals ?? 0) + (failure === undefined || isEnginesFault(error) ? 0 : 1);
    const entry = { backoff, options, failure, failures, refusals, notBeforeMs: nowMs + pauseMs, pauseMs };
    this.#entries.set(key, entry);
    return entry;
  }

  /**
   * Records a step done. Doing the same once more is allowed at once, and after that ever more slowly: for what is undone again
   * and again (someone stops the container each time), and for an engine that says "done" and does nothing.
   * @returns failures in a row before it
   */
  recordSuccess(key: string, nowMs: number): number {
    const previous = this.#entries.get(key);
    const backoff = previous?.backoff ?? new Backoff(STEP, this.#random);
    const hasSucceeded = previous !== undefined && previous.failure === undefined;
    const pauseMs = hasSucceeded ? backoff.nextMs() : 0;
    const options = previous?.options ?? STEP;
    this.#entries.set(key, { backoff, options, failure: undefined, failures: 0, refusals: 0, notBeforeMs: nowMs + pauseMs, pauseMs });
    return previous?.failures ?? 0;
  }

  /** Forgets all but `wanted`. */
  keepOnly(wanted: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) {
      if (!wanted.has(key)) {
        this.#entries.delete(key);
      }
    }
  }
}
