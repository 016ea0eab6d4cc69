/** The clock of a simulated world: nothing is left to do when its time moves on. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VirtualClock } from '../../support/virtual-clock.ts';

const MAX_TURNS = 100_000; // work that never waits would hang the simulation

export class SimClock extends VirtualClock {
  /** Until no turn of the event loop is asked for any more. Nothing in the simulation waits for the real world, so that this is all work there is. */
  override async settle(): Promise<void> {
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      await nextTurn();
      if (!process.getActiveResourcesInfo().includes('Immediate')) {
        return;
      }
    }
    throw new Error('Cannot move time on as work goes on without ever waiting');
  }
}
