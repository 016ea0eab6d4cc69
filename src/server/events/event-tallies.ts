/**
 * Event tallies: facts that are not written yet, counted per Event.
 *
 * Owns     at most `total` tallies, at most `perSource` of one object; first come, first written.
 * Never    reads a clock or grows: what does not fit is refused, and the caller counts it.
 * Callers  event-recorder.ts
 */
import { keyOf, sourceOf, type EventFact } from './event-fact.ts';

/** The same fact, so many times. */
export interface Tally {
  /** the newest */
  readonly fact: EventFact;
  readonly count: number;
  /** wall-clock ms */
  readonly firstSeenMs: number;
  /** wall-clock ms */
  readonly lastSeenMs: number;
}

export interface TallyLimits {
  readonly perSource: number;
  readonly total: number;
}

export class EventTallies {
  readonly #limits: TallyLimits;
  /** key of the fact -> tally */
  readonly #tallies = new Map<string, Tally>();
  /** object -> how many tallies it has */
  readonly #countBySource = new Map<string, number>();

  constructor(limits: TallyLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#tallies.size;
  }

  /** Counts in a fact that has just happened. @returns false: there is no room for another Event of this object, or for any */
  add(tally: Tally): boolean {
    return this.#merge(tally, (known) => combine(known, tally));
  }

  /** Takes back what could not be written; what happened meanwhile is newer. @returns as `add` */
  putBack(tally: Tally): boolean {
    return this.#merge(tally, (known) => combine(tally, known));
  }

  /** Removes and returns up to `limit` tallies that `isDue` agrees to, oldest first. */
  take(limit: number, isDue: (tally: Tally) => boolean): readonly Tally[] {
    const taken: Tally[] = [];
    for (const [key, tally] of this.#tallies) {
      if (taken.length >= limit) {
        break;
      }
      if (isDue(tally)) {
        taken.push(tally);
        this.#remove(key, tally);
      }
    }
    return taken;
  }

  #merge(tally: Tally, withKnown: (known: Tally) => Tally): boolean {
    const key = keyOf(tally.fact);
    const known = this.#tallies.get(key);
    if (known !== undefined) {
      this.#tallies.set(key, withKnown(known));
      return true;
    }
    const source = sourceOf(tally.fact.object);
    const count = this.#countBySource.get(source) ?? 0;
    if (count >= this.#limits.perSource || this.#tallies.size >= this.#limits.total) {
      return false;
    }
    this.#tallies.set(key, tally);
    this.#countBySource.set(source, count + 1);
    return true;
  }

  #remove(key: string, tally: Tally): void {
    this.#tallies.delete(key);
    const source = sourceOf(tally.fact.object);
    const count = (this.#countBySource.get(source) ?? 1) - 1;
    if (count === 0) {
      this.#countBySource.delete(source);
    } else {
      this.#countBySource.set(source, count);
    }
  }
}

/** By the order of happening, not by the times: the wall clock may have been set back in between. */
function combine(older: Tally, newer: Tally): Tally {
  return { fact: newer.fact, count: older.count + newer.count, firstSeenMs: older.firstSeenMs, lastSeenMs: newer.lastSeenMs };
}
