/** Waiting for a state, with a deadline that says what was waited for. */
import { type Clock, systemClock } from '../../src/base/clock.ts';

export interface UntilOptions {
  /** completes "Timed out after N s waiting for ..." */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/**
 * Asks `probe` until it gives something other than undefined or false. A probe that throws counts as "not yet"; the last error is
 * told when time runs out.
 * @throws {TimedOut} after `timeoutMs`
 */
export async function until<T>(probe: () => T | undefined | false | Promise<T | undefined | false>, options: UntilOptions): Promise<T> {
  const { what, timeoutMs, intervalMs = 50, clock = systemClock, signal = new AbortController().signal } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const result = await probe();
      if (result !== undefined && result !== false) {
        return result;
      }
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    signal.throwIfAborted();
    if (clock.monotonicMs() >= deadlineMs) {
      const detail = lastError instanceof Error ? `: ${lastError.message}` : '';
      throw new TimedOut(`Timed out after ${timeoutMs / 1000} s waiting for ${what}${detail}`, { cause: lastError });
    }
    await clock.sleep(intervalMs, signal);
  }
}
