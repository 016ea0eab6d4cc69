/**
 * Event index: the Events there are, in the order in which they last happened, and which of them are too many or too old.
 *
 * Owns     name -> Event, holding the store's own frozen objects, and per object the names of its Events.
 * Never    reads a clock or writes: what must go is handed to the caller.
 * Callers  event-writer.ts
 */
import type { EventObject } from '../../api/event.ts';
import { sourceOf } from './event-fact.ts';

export interface EventLimits {
  /** Events of one object: the reasons that last happened stay */
  readonly perSource: number;
  /** Events of all objects */
  readonly total: number;
  /** ms since an Event last happened */
  readonly ageMs: number;
}

export const DEFAULT_EVENT_LIMITS: EventLimits = {
  // more than the reasons that code gives a Node or a Project in normal life; made-up reasons push out one another, not those of others
  perSource: 20,
  // some 6 MB at 600 B each, in memory and on disk; a node or a Project that lived through something has about five
  total: 10_000,
  // Kubernetes keeps an hour, to spare etcd. Who comes in the morning wants to know what happened last night, so a day
  ageMs: 86_400_000,
};

export class EventIndex {
  readonly #limits: EventLimits;
  /** insertion order is the order of last happening: what happens again moves to the back, so bounds look at the front alone */
  readonly #events = new Map<string, EventObject>();
  readonly #namesBySource = new Map<string, Set<string>>();
  /** name -> Event that is taken out, and still to be deleted where it is stored */
  readonly #excess = new Map<string, EventObject>();

  /** @param events in any order */
  constructor(limits: EventLimits, events: readonly EventObject[]) {
    this.#limits = limits;
    for (const event of events.toSorted(compareLastSeen)) {
      this.put(event);
    }
  }

  get size(): number {
    return this.#events.size;
  }

  /** Whether it is among those that stay. */
  has(name: string): boolean {
    return this.#events.has(name);
  }

  /** Also one that is taken out but not handed to be deleted yet: happening again brings it back. */
  find(name: string): EventObject | undefined {
    return this.#events.get(name) ?? this.#excess.get(name);
  }

  /** Takes in an Event that has just happened; what it pushes out is in `takeExcess`. */
  put(event: EventObject): void {
    const { name } = event.metadata;
    const source = sourceOf(event.object);
    const names = this.#namesBySource.get(source) ?? new Set<string>();
    this.#excess.delete(name);
    this.#events.delete(name);
    names.delete(name);
    this.#events.set(name, event);
    this.#namesBySource.set(source, names.add(name));
    this.#evictFrom(names, this.#limits.perSource);
    this.#evictFrom(this.#events, this.#limits.total, ({ object }) => object.kind === 'Cluster'); // they stand for many
  }

  /** Puts the stored form in the place of the same Event; it has not happened again. */
  settle(event: EventObject): void {
    const { name } = event.metadata;
    if (this.#events.has(name)) {
      this.#events.set(name, event);
    }
  }

  /** Takes out what last happened too long ago. @param nowMs wall clock */
  expire(nowMs: number): void {
    for (const event of this.#events.values()) {
      if (Date.parse(event.lastSeen) >= nowMs - this.#limits.ageMs) {
        return;
      }
      this.#drop(event);
    }
  }

  /** Whether `takeExcess` has something to give. */
  get hasExcess(): boolean {
    return this.#excess.size > 0;
  }

  /** Removes and returns up to `limit` of those that must be deleted. */
  takeExcess(limit: number): readonly EventObject[] {
    const taken = this.#excess.values().take(limit).toArray();
    taken.forEach(({ metadata }) => this.#excess.delete(metadata.name));
    return taken;
  }

  #evictFrom(
    names: Pick<Map<string, unknown>, 'size' | 'keys'>,
    limit: number,
    isSpared: (event: EventObject) => boolean = () => false,
  ): void {
    for (const name of names.keys()) {
      const event = this.#events.get(name);
      if (names.size <= limit || event === undefined) {
        return;
      }
      if (!isSpared(event)) {
        this.#drop(event);
      }
    }
  }

  #drop(event: EventObject): void {
    const source = sourceOf(event.object);
    const names = this.#namesBySource.get(source);
    this.#events.delete(event.metadata.name);
    names?.delete(event.metadata.name);
    if (names?.size === 0) {
      this.#namesBySource.delete(source);
    }
    this.#excess.set(event.metadata.name, event);
  }
}

/**
 * The order in which Events are kept and listed: what happened last comes last. As text: all times here are written by toISOString(), and
 * parsing them costs a tenth of a second for 10,000 Events.
 */
export function compareLastSeen(left: EventObject, right: EventObject): number {
  return compareText(left.lastSeen, right.lastSeen) || compareText(left.metadata.name, right.metadata.name);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
