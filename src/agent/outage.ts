/** Outage: tells of work that keeps failing once when it starts to, again when the cause changes, and once when it recovers. */
import { ApiError } from '../api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

export class Outage {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #work: string;
  /** undefined while all is well */
  #failing: { readonly sinceMs: number; detail: string; failures: number } | undefined;

  /** @param work what fails, as in "registration"; lower case */
  constructor(log: Logger, clock: Clock, work: string) {
    this.#log = log;
    this.#clock = clock;
    this.#work = work;
  }

  failed(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    const reason = error instanceof ApiError ? error.reason : undefined;
    const isNews = this.#failing?.detail !== detail;
    this.#failing ??= { sinceMs: this.#clock.monotonicMs(), detail, failures: 0 };
    this.#failing.detail = detail;
    this.#failing.failures += 1;
    if (isNews) {
      this.#log.warn({ reason, detail }, `${this.#work} failing`);
    }
  }

  recovered(): void {
    if (this.#failing !== undefined) {
      const durationMs = Math.round(this.#clock.monotonicMs() - this.#failing.sinceMs);
      this.#log.info({ failures: this.#failing.failures, durationMs }, `${this.#work} recovered`);
      this.#failing = undefined;
    }
  }
}
