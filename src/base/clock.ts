/**
 * The only place that reads a clock or sets a timer. Everything else takes a `Clock`.
 *
 * Two times, never mixed: monotonic milliseconds for deadlines and ages, wall time for people.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; counts time suspended where the OS does. Never goes backwards. */
  monotonicMs(): number;
  /** Wall-clock milliseconds since 1970. May jump; for people, never for deadlines. */
  wallMs(): number;
  /** Waits. @throws the signal's reason when aborted first */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (ms, signal) => {
    if (ms <= 0) {
      await turn(undefined, { signal }); // what waits is let in first; a timer would take 1 ms at least
      return;
    }
    // setTimeout takes 31 bits; a longer wait wakes early, and every loop of ours looks at the clock when it wakes.
    await delay(Math.min(ms, 2 ** 31 - 1), undefined, { signal });
  },
};

/** The wall time as RFC 3339 in UTC. */
export function nowRfc3339(clock: Clock): string {
  const ms = clock.wallMs();
  if (lastText.ms !== ms) {
    lastText = { ms, text: new Date(ms).toISOString() };
  }
  return lastText.text;
}

/** The text made last: what is written together, and kept, says the same time, and shares it. */
let lastText = { ms: Number.NaN, text: '' };

const DISPOSED = new DOMException('Disposed of', 'AbortError'); // made once: abort() makes one with a stack trace each time, 10 us

/** A signal that aborts when `signal` does or after `ms`; dispose of it when the work is done, so that no timer is left. */
export function withDeadline(clock: Clock, ms: number, signal: AbortSignal): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  clock.sleep(ms, controller.signal).then(
    () => controller.abort(new DOMException(`Timed out after ${ms} ms`, 'TimeoutError')),
    () => undefined, // disposed, or the outer signal came first
  );
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', onAbort);
      controller.abort(DISPOSED);
    },
  };
}
