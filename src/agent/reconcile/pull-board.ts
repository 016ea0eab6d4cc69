/**
 * Pull board: how far the pulls of one Project are.
 *
 * Owns     a line per image that is being pulled, and when they were last told of.
 * Callers  project-teller.ts.
 */
import type { Clock } from '../../base/clock.ts';
import type { PullProgress } from '../docker/docker-types.ts';
import { describePull } from './pull-progress.ts';
import { stepKey } from './steps.ts';

const TELL_INTERVAL_MS = 500; // told at most so often

export class PullBoard {
  readonly #clock: Clock;
  readonly #tell: () => void;
  /** Image reference -> how far its pull is. */
  readonly #lines = new Map<string, string>();
  #toldMs = -Infinity;

  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Image reference -> how far its pull is. */
  get lines(): ReadonlyMap<string, string> {
    return this.#lines;
  }

  record(image: string, progress: PullProgress): void {
    const nowMs = this.#clock.monotonicMs();
    this.#lines.set(image, describePull(progress));
    if (nowMs - this.#toldMs >= TELL_INTERVAL_MS) {
      this.#toldMs = nowMs;
      this.#tell();
    }
  }

  /** Forgets pulls that nobody wants any more. @param wanted keys of steps */
  keepOnly(wanted: ReadonlySet<string>): void {
    for (const image of this.#lines.keys()) {
      const key = stepKey({ kind: 'pullImage', image });
      if (![...wanted].some((other) => other === key || other.startsWith(`${key} `))) {
        this.#lines.delete(image);
      }
    }
  }
}
