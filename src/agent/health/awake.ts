/** Waiting that counts only time in which this process ran. */
import type { Clock } from '../../base/clock.ts';

const SLICE_MS = 100;

/**
 * Waits for `ms` of time in which the event loop turned. While the agent is stopped or hangs, nothing that happens outside reaches it,
 * and a time limit that went on would call whatever it waits for late.
 * @throws the signal's reason when aborted first
 */
export async function sleepAwake(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  for (let restMs = ms; restMs > 0; restMs -= SLICE_MS) {
    await clock.sleep(Math.min(SLICE_MS, restMs), signal);
  }
}
