/** Outage: tells once that something fails and once that it works again, however many callers meet it. */
import type { ApiError } from '../../api/errors.ts';
import type { Logger } from '../../base/log.ts';

export class Outage {
  readonly #log: Logger;
  readonly #words: { readonly begins: string; readonly ends: string };
  #failures = 0;

  /** @param words constant messages for the log */
  constructor(log: Logger, words: { readonly begins: string; readonly ends: string }) {
    this.#log = log;
    this.#words = words;
  }

  get isOn(): boolean {
    return this.#failures > 0;
  }

  /** @param count how many callers were refused */
  noteFailure(error: ApiError, count = 1): void {
    if (this.#failures === 0) {
      this.#log.error({ detail: error.message }, this.#words.begins);
    }
    this.#failures += count;
  }

  noteSuccess(): void {
    if (this.#failures > 0) {
      this.#log.info({ refused: this.#failures }, this.#words.ends);
      this.#failures = 0;
    }
  }
}
