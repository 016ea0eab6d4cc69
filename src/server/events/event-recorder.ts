/**
 * Event recorder: takes in what happened, and stores it as Events a moment later, each thing once and counted after that.
 *
 * Owns     the kind Event, alone; in memory what is not stored yet, bounded; a budget of writes for each object.
 * Never    makes its caller wait or fail: `record` touches memory only. What happened in the last second before a kill is lost:
 *          Events are told for people, and nothing is decided by them. Never writes while nothing happens, but to delete what is old.
 * Callers  event-source.ts and whoever has something to tell records; start-events.ts spawns `run`.
 * Source   Kubernetes' EventCorrelator (aggregation, and a token bucket for each object).
 */
import { ApiError } from '../../api/errors.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { TokenBuckets } from '../../base/token-buckets.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Store } from '../../store/store.ts';
import { rankOf } from './crowd-events.ts';
import { sourceOf, type FactSink } from './event-fact.ts';
import { DEFAULT_EVENT_LIMITS, type EventLimits } from './event-index.ts';
import { EventTallies, type Tally } from './event-tallies.ts';
import { EventWriter } from './event-writer.ts';

/** ms between commits: what happens within counts as one write per Event. A person who looks sooner sees it at the next look. */
export const FLUSH_INTERVAL_MS = 1000;

/** Events in one commit: the most that are written in a second, whatever happens to the fleet. */
const BATCH_SIZE = 500;

/** Writes about one object: so many at once, then one in ten seconds. What comes sooner is counted and written with the next. */
export const WRITE_BUDGET = { burst: 25, refillMs: 10_000 };

/** ms between looks for what is too old. */
export const EXPIRY_INTERVAL_MS = 600_000;

export interface EventRecorderDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly limits?: EventLimits;
  /** called for each fact that there was no room for; must not throw */
  readonly onDropped?: () => void;
}

export interface EventRecorder extends FactSink {
  /** Stores what was recorded, until the signal aborts; then what is left. Call once. */
  run(signal: AbortSignal): Promise<void>;
  /** Facts dropped for want of room since the start. */
  readonly dropped: number;
  /** Events that are still to be written. */
  readonly pending: number;
}

export function createEventRecorder(deps: EventRecorderDeps): EventRecorder {
  const { store, clock, random, limits = DEFAULT_EVENT_LIMITS } = deps;
  const log = deps.log.child({ component: 'event-recorder' });
  const tallies = new EventTallies(limits, rankOf);
  const writer = new EventWriter({ store, random, limits });
  const budget = new TokenBuckets(WRITE_BUDGET);
  const wakeup = new Wakeup();
  const backoff = new Backoff({ baseMs: 500, capMs: 30_000 }, random);
  let dropped = 0;
  let droppedAtLastLook = 0;
  let isDropping = false;

  function keep(isKept: boolean): void {
    if (!isKept) {
      dropped += 1;
      deps.onDropped?.();
    }
  }

  /** What has not been told yet goes first, so that no repetition holds up news. */
  function takeBatch(): readonly Tally[] {
    const nowMs = clock.monotonicMs();
    budget.forgetFull(nowMs);
    const isAffordable = ({ fact }: Tally): boolean => budget.take(sourceOf(fact.object), nowMs);
    const fresh = tallies.take(BATCH_SIZE, (tally) => !writer.isKnown(tally) && isAffordable(tally));
    return [...fresh, ...tallies.take(BATCH_SIZE - fresh.length, isAffordable)];
  }

  /** @param take what to write, once it is known what the store has @returns whether the store took it */
  async function flush(take: () => readonly Tally[]): Promise<boolean> {
    let batch: readonly Tally[] = [];
    try {
      await writer.load();
      batch = take();
      await writer.write(batch, clock.wallMs());
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      batch.forEach((tally) => keep(tallies.putBack(tally)));
      if (backoff.failures === 0) {
        log.warn({ err: error }, 'events not written, trying again');
      }
      return false;
    }
    if (backoff.failures > 0) {
      log.info({ failures: backoff.failures }, 'events written again');
      backoff.reset();
    }
    return true;
  }

  /** One line when dropping begins, one with the sum when it is over. */
  function tellDropped(): void {
    const wasDropping = isDropping;
    isDropping = dropped > droppedAtLastLook;
    droppedAtLastLook = dropped;
    if (isDropping && !wasDropping) {
      log.warn({ dropped }, 'events dropped, more happens than can be kept');
    } else if (wasDropping && !isDropping) {
      log.info({ dropped }, 'events no longer dropped');
    }
  }

  async function runLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (tallies.size === 0 && !writer.hasMore) {
        await wakeup.wait(clock, EXPIRY_INTERVAL_MS, signal);
      }
      await clock.sleep(FLUSH_INTERVAL_MS, signal);
      if (!(await flush(takeBatch))) {
        await clock.sleep(backoff.nextMs(), signal);
      }
      tellDropped();
    }
  }

  /** The last writes: the budget is for a life, not for its end. */
  async function flushRest(): Promise<void> {
    while (tallies.size > 0) {
      if (!(await flush(() => tallies.take(BATCH_SIZE, () => true)))) {
        log.warn({ lost: tallies.size }, 'events lost as the store does not take them');
        return;
      }
    }
  }

  return {
    record: (fact) => {
      const nowMs = clock.wallMs();
      keep(tallies.add({ fact, count: 1, firstSeenMs: nowMs, lastSeenMs: nowMs }));
      wakeup.notify();
    },
    run: async (signal) => {
      try {
        await runLoop(signal);
      } finally {
        await flushRest();
      }
    },
    get dropped() {
      return dropped;
    },
    get pending() {
      return tallies.size;
    },
  };
}
