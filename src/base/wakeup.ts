/**
 * Wakeup: how an event tells a loop "look again". Level-triggered: many calls of `notify` before the loop looks are one.
 */
import type { Clock } from './clock.ts';

const CANCELLED = new Error('Cancelled'); // made once: abort() without a reason makes one with a stack trace each time, 10 us

export class Wakeup {
  #isNotified = false;
  #resolve: (() => void) | undefined;

  /** Wakes the waiting loop, or makes its next wait return at once. */
  notify(): void {
    this.#isNotified = true;
    this.#resolve?.();
  }

  /**
   * Waits for `notify` or for `ms`, whichever comes first.
   * @param ms Infinity waits for `notify` alone
   * @throws the signal's reason when aborted first
   */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#isNotified) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      const timer = new AbortController();
      const cancel = (): void => {
        timer.abort(CANCELLED);
        resolve();
      };
      signal.addEventListener('abort', cancel, { once: true });
      if (ms !== Infinity) {
        clock.sleep(ms, timer.signal).then(resolve, () => undefined); // rejects only when the timer was cancelled
      }
      await promise;
      signal.removeEventListener('abort', cancel);
      timer.abort(CANCELLED);
      this.#resolve = undefined;
    }
    this.#isNotified = false;
    signal.throwIfAborted();
  }
}
