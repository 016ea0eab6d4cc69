/** The clock of a simulated world: nothing is left to do when its time moves on. */
import { setImmediate } from 'node:timers';
import { VirtualClock } from '../../support/time/virtual-clock.ts';

const MAX_TURNS = 100_000; // work that never waits would hang the simulation
const TURNS_AHEAD = 16;

export class SimClock extends VirtualClock {
  readonly #turns = new Turns();

  /** Until no turn of the event loop is asked for any more. Nothing in the simulation waits for the real world, so that this is all work there is. */
  override async settle(): Promise<void> {
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      await this.#turns.next();
      if (!this.#turns.areOthersWaiting()) {
        return;
      }
    }
    throw new Error('Cannot move time on as work goes on without ever waiting');
  }
}

/**
 * Turns of the event loop, asked for a number at a time: what waits for none is done between any two of them, and only the last costs a
 * look at the real world, which is what such a turn takes longest for.
 */
class Turns {
  /** asked for and not yet had, also those that nobody wants any more */
  #ahead = 0;
  /** of the latest that were asked for */
  #left = 0;
  #batch = 0;
  #resolve: (() => void) | undefined;

  next(): Promise<void> {
    if (this.#left === 0) {
      this.#ask();
    }
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Whether a turn was asked for by others. They are had before the next. */
  areOthersWaiting(): boolean {
    let waiting = -this.#ahead;
    for (const resource of process.getActiveResourcesInfo()) {
      waiting += resource === 'Immediate' ? 1 : 0;
    }
    if (waiting > 0) {
      this.#left = 0; // those that are left come before theirs
    }
    return waiting > 0;
  }

  #ask(): void {
    this.#batch += 1;
    this.#left = TURNS_AHEAD;
    this.#ahead += TURNS_AHEAD;
    for (let turn = 0; turn < TURNS_AHEAD; turn += 1) {
      setImmediate(this.#have, this.#batch);
    }
  }

  readonly #have = (batch: number): void => {
    this.#ahead -= 1;
    if (batch === this.#batch && this.#left > 0) {
      this.#left -= 1;
      const resolve = this.#resolve;
      this.#resolve = undefined;
      resolve?.();
    }
  };
}
