/**
 * Crowd events: what happens to very many nodes at once is also told once for all of them. Each has an Event of its own, but there is room
 * for so many only, and nobody reads thousands.
 *
 * Owns     per reason how many nodes it happened to since the crowd began, and the first names. In memory, bounded.
 * Never    tells of fewer than LEAST: those stand for themselves.
 * Callers  event-source.ts notes; start-events.ts spawns `run`.
 */
import type { Clock } from '../../base/clock.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { EventFact, FactSink } from './event-fact.ts';
import type { Rank } from './event-tallies.ts';

/** Nodes to which the same happened. */
const LEAST = 50;
/** ms without another one: then the crowd is complete. */
const QUIET_MS = 3000;
/** ms after which it is told though more come. */
const LONGEST_MS = 60_000;
const NAMES_TOLD = 5;

/** Reason of a node's Event -> reason and words for many. */
const CROWDS: ReadonlyMap<string, readonly [reason: string, words: string]> = new Map([
  ['NodeNotReady', ['ManyNodesNotReady', 'became NotReady']],
  ['NodeReady', ['ManyNodesReady', 'became Ready']],
]);

/** What must not be lost for want of room: what a fleet's operator looks for first. */
export function rankOf({ object, reason }: Pick<EventFact, 'object' | 'reason'>): Rank {
  if (object.kind === 'Cluster') {
    return 'Cluster';
  }
  return object.kind === 'Node' && CROWDS.has(reason) ? 'Vital' : 'Other';
}

interface Crowd {
  count: number;
  readonly names: string[];
  readonly type: EventFact['type'];
  readonly sinceMs: number;
  lastMs: number;
}

export interface CrowdEvents {
  note(fact: EventFact): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface CrowdEventsDeps {
  readonly clock: Clock;
  readonly recorder: FactSink;
  /** what the Events are about, by its uid */
  readonly clusterId: string;
}

export function createCrowdEvents({ clock, recorder, clusterId }: CrowdEventsDeps): CrowdEvents {
  const crowds = new Map<string, Crowd>(); // reason of the nodes' Events -> crowd
  const wakeup = new Wakeup();

  function tell(reason: string, { count, names, type, sinceMs, lastMs }: Crowd): void {
    const [crowdReason, words] = CROWDS.get(reason) ?? [];
    if (count < LEAST || crowdReason === undefined) {
      return;
    }
    const seconds = Math.max(1, Math.ceil((lastMs - sinceMs) / 1000));
    const message = `${count} nodes ${words} within ${seconds} s: ${names.join(', ')} and ${count - names.length} more`;
    recorder.record({ object: { kind: 'Cluster', name: 'cluster', uid: clusterId }, type, reason: crowdReason, message });
  }

  /** @returns how long until the next is complete, in milliseconds */
  function tellComplete(): number {
    const nowMs = clock.monotonicMs();
    let waitMs = Infinity;
    for (const [reason, crowd] of crowds) {
      const leftMs = Math.min(crowd.lastMs + QUIET_MS, crowd.sinceMs + LONGEST_MS) - nowMs;
      if (leftMs > 0) {
        waitMs = Math.min(waitMs, leftMs);
      } else {
        tell(reason, crowd);
        crowds.delete(reason);
      }
    }
    return waitMs;
  }

  return {
    note: ({ object, reason, type }) => {
      if (object.kind !== 'Node' || !CROWDS.has(reason)) {
        return;
      }
      const nowMs = clock.monotonicMs();
      const crowd = crowds.get(reason) ?? { count: 0, names: [], type, sinceMs: nowMs, lastMs: nowMs };
      crowd.count += 1;
      crowd.lastMs = nowMs;
      if (crowd.names.length < NAMES_TOLD) {
        crowd.names.push(object.name);
      }
      if (crowd.count === 1) {
        crowds.set(reason, crowd);
        wakeup.notify();
      }
    },
    run: async (signal) => {
      for (;;) {
        await wakeup.wait(clock, tellComplete(), signal);
      }
    },
  };
}
