/**
 * Virtual clock: a Clock whose time moves only because the test moves it.
 *
 * Owns     the sleepers: who waits until when.
 * Never    waits for real time: `advance` lets pending work run between two sleepers by turns of the event loop, not by timers.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../src/base/clock.ts';
import { Sleepers } from './sleepers.ts';

/** Turns of the event loop that let promise chains and store commits settle; a commit may need a turn of its own. */
const SETTLE_TURNS = 4;

export class VirtualClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  readonly #sleepers = new Sleepers();

  /** @param wallMs wall-clock milliseconds since 1970 at the start; default 2026-01-01T00:00:00Z */
  constructor(wallMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  /** How many wait now. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (ms <= 0) {
      await nextTurn();
      signal.throwIfAborted();
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = this.#sleepers.add(this.#monotonicMs + ms, resolve);
    const onAbort = (): void => {
      this.#sleepers.delete(sleeper);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Moves both times on by `ms`, waking each sleeper exactly at its deadline, earliest first; work that a sleeper starts runs
   * before the next one wakes, and sleeps that it begins count if they end within `ms`.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await this.settle();
    for (let next = this.#sleepers.take(endMs); next !== undefined; next = this.#sleepers.take(endMs)) {
      this.#moveTo(next.deadlineMs);
      next.wake();
      await this.settle();
    }
    this.#moveTo(endMs);
    await this.settle();
  }

  /** Moves the wall clock alone, as an operator or NTP would. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** Moves the monotonic time at once, past deadlines, as a suspended process sees it: sleepers wake late, at the next `advance`. */
  stall(ms: number): void {
    this.#moveTo(this.#monotonicMs + ms);
  }

  /** Lets work that waits for nothing but its turn run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) {
      await nextTurn();
    }
  }

  /** Advances in steps of `stepMs` until `isReached`. @throws when it is not within `limitMs` of virtual time */
  async advanceUntil(isReached: () => boolean | Promise<boolean>, limitMs: number, stepMs = 100): Promise<void> {
    const endMs = this.#monotonicMs + limitMs;
    await this.settle();
    while (!(await isReached())) {
      if (this.#monotonicMs >= endMs) {
        throw new Error(`Cannot go on as the state was not reached within ${limitMs} ms of virtual time`);
      }
      await this.advance(stepMs);
    }
  }

  #moveTo(monotonicMs: number): void {
    if (monotonicMs > this.#monotonicMs) {
      this.#wallMs += monotonicMs - this.#monotonicMs;
      this.#monotonicMs = monotonicMs;
    }
  }
}
