/**
 * Event tallies: facts that are not written yet, counted per Event.
 *
 * Owns     at most `total` tallies, at most `perSource` of one object; by rank, then first come, first written.
 * Never    reads a clock or grows: what does not fit is refused, or pushed out by what ranks higher, and the caller counts it.
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

/** `Cluster`: there is always room for it, as it stands for many; `Vital`: pushes out others. */
export type Rank = 'Cluster' | 'Vital' | 'Other';

export interface TallyLimits {
  readonly perSource: number;
  readonly total: number;
}

export class EventTallies {
  readonly #limits: TallyLimits;
  readonly #rankOf: (fact: EventFact) => Rank;
  /** rank, highest first -> key of the fact -> tally */
  readonly #byRank: Readonly<Record<Rank, Map<string, Tally>>> = { Cluster: new Map(), Vital: new Map(), Other: new Map() };
  /** object -> how many tallies it has */
  readonly #countBySource = new Map<string, number>();

  /** @param rankOf the same for all facts of one key */
  constructor(limits: TallyLimits, rankOf: (fact: EventFact) => Rank = () => 'Other') {
    this.#limits = limits;
    this.#rankOf = rankOf;
  }

  get size(): number {
    const { Cluster, Vital, Other } = this.#byRank;
    return Cluster.size + Vital.size + Other.size;
  }

  /** Counts in a fact that has just happened. @returns false: something was lost, as there is no room for another Event of this object, or for any */
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
    for (const tallies of Object.values(this.#byRank)) {
      for (const [key, tally] of tallies) {
        if (taken.length >= limit) {
          return taken;
        }
        if (isDue(tally)) {
          taken.push(tally);
          this.#remove(key, tally);
        }
      }
    }
    return taken;
  }

  #merge(tally: Tally, withKnown: (known: Tally) => Tally): boolean {
    const rank = this.#rankOf(tally.fact);
    const tallies = this.#byRank[rank];
    const source = sourceOf(tally.fact.object);
    const ofSource = this.#countBySource.get(source) ?? 0;
    const isFull = this.size >= this.#limits.total;
    const hasRoom = !isFull || rank === 'Cluster' || (rank === 'Vital' && this.#byRank.Other.size > 0);
    if (ofSource === 0 && !hasRoom) {
      return false; // without a key, which is long, and its hash: as where a large fleet falls silent
    }
    const key = keyOf(tally.fact);
    const known = tallies.get(key);
    if (known !== undefined) {
      tallies.set(key, withKnown(known));
      return true;
    }
    if (!hasRoom || ofSource >= this.#limits.perSource) {
      return false;
    }
    if (isFull && rank === 'Vital') {
      this.#dropOther();
    }
    tallies.set(key, tally);
    this.#countBySource.set(source, (this.#countBySource.get(source) ?? 0) + 1);
    return !isFull || rank === 'Cluster';
  }

  #dropOther(): void {
    const [oldest] = this.#byRank.Other;
    if (oldest !== undefined) {
      this.#remove(...oldest);
    }
  }

  #remove(key: string, tally: Tally): void {
    this.#byRank[this.#rankOf(tally.fact)].delete(key);
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
