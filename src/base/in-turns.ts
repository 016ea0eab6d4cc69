/** Long work in short turns of the event loop. Callers: loops of the server that take in a whole fleet when they begin. */
import type { Clock } from './clock.ts';

/** Items a turn where each takes some microseconds: a few milliseconds, and then requests and heartbeats get theirs. */
const ITEMS_PER_TURN = 1_024;

/** Of work that waits, such as commits, which share a transaction. A divisor of ITEMS_PER_TURN. */
const AT_ONCE = 64;

/**
 * Calls `each` with every item, letting others in between. `items` may be a live view: what comes meanwhile may be among them.
 * @throws the signal's reason when aborted
 */
export async function inTurns<Item>(items: Iterable<Item>, each: (item: Item) => void, clock: Clock, signal: AbortSignal): Promise<void> {
  let done = 0;
  for (const item of items) {
    if (done > 0 && done % ITEMS_PER_TURN === 0) {
      await clock.sleep(0, signal);
    }
    each(item);
    done += 1;
  }
}

/**
 * As inTurns, for work that waits: 64 items at a time, the next when all of those have ended.
 * @throws the signal's reason when aborted; what `each` throws
 */
export async function inBatches<Item>(
  items: readonly Item[],
  each: (item: Item) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let begin = 0; begin < items.length; begin += AT_ONCE) {
    if (begin > 0 && begin % ITEMS_PER_TURN === 0) {
      await clock.sleep(0, signal);
    }
    await Promise.all(items.slice(begin, begin + AT_ONCE).map(each));
  }
}
