/**
 * Event writer: turns tallies into stored Events, and keeps them within their bounds, one commit at a time.
 *
 * Owns     what the store has of kind Event, and an index of it, read at the first write and after each failed one.
 * Never    keeps more than the limits, also not for the moment between two commits.
 * Callers  event-recorder.ts
 */
import { MAX_EVENT_MESSAGE, type EventObject } from '../../api/event.ts';
import { API_VERSION, type ObjectMeta } from '../../api/meta.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, Write } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';
import { eventNameOf } from './event-fact.ts';
import { EventIndex, type EventLimits } from './event-index.ts';
import type { Tally } from './event-tallies.ts';

/** Deletions in one commit beside the Events written: bounds the time that one commit takes. */
const DELETES_PER_COMMIT = 500;

/** The version of an Event that was never stored. */
const UNSTORED = '';

export interface EventWriterDeps {
  readonly store: Store;
  readonly random: Random;
  readonly limits: EventLimits;
}

export class EventWriter {
  readonly #deps: EventWriterDeps;
  #index: EventIndex | undefined;

  constructor(deps: EventWriterDeps) {
    this.#deps = deps;
  }

  /** Whether more is to be deleted than one commit did. */
  get hasMore(): boolean {
    return this.#index?.hasExcess ?? false;
  }

  /** Reads what the store has, unless it is known. @throws {ApiError} Unavailable */
  async load(): Promise<void> {
    this.#index ??= new EventIndex(this.#deps.limits, (await this.#deps.store.list<EventObject>('Event')).items);
  }

  /** Tells whether a tally counts on in an Event that is stored; after `load`. */
  isKnown(tally: Tally): boolean {
    return this.#index?.find(eventNameOf(tally.fact)) !== undefined;
  }

  /**
   * Writes each tally into its Event, and deletes what is too much or too old; commits nothing where there is nothing to do.
   * @param nowMs wall clock
   * @throws {ApiError} Unavailable, or Conflict and the like where somebody else wrote Events: nothing is written then, try again
   */
  async write(tallies: readonly Tally[], nowMs: number): Promise<void> {
    await this.load();
    const index = this.#index as EventIndex;
    const names = new Set(tallies.map((tally) => putTally(index, tally, this.#deps.random)));
    index.expire(nowMs);
    const puts = [...names]
      .filter((name) => index.has(name))
      .flatMap((name) => index.find(name) ?? [])
      .map(toPut);
    const writes = [...puts, ...takeDeletes(index)];
    if (writes.length === 0) {
      return;
    }
    try {
      const stored = await this.#deps.store.commit(writes);
      stored.slice(0, puts.length).forEach((event) => index.settle(event as EventObject));
    } catch (error) {
      this.#index = undefined; // it has what the store has not
      throw error;
    }
  }
}

/** @returns the Event's name */
function putTally(index: EventIndex, { fact, count, firstSeenMs, lastSeenMs }: Tally, random: Random): string {
  const name = eventNameOf(fact);
  const known = index.find(name);
  const lastSeen = new Date(lastSeenMs).toISOString();
  const firstSeen = known?.firstSeen ?? new Date(firstSeenMs).toISOString();
  const metadata = known?.metadata ?? newMetadata(name, random.uuid(), lastSeen);
  index.put({
    apiVersion: API_VERSION,
    kind: 'Event',
    metadata: { ...metadata, updatedAt: lastSeen },
    object: fact.object,
    type: fact.type,
    reason: fact.reason,
    message: cut(fact.message),
    count: (known?.count ?? 0) + count,
    firstSeen,
    lastSeen,
  });
  return name;
}

function newMetadata(name: string, uid: string, now: string): ObjectMeta {
  return { ...newMeta(name, uid, now), resourceVersion: UNSTORED };
}

function toPut(event: EventObject): Write {
  const { resourceVersion: expectedVersion, ...metadata } = event.metadata;
  const object: Draft<EventObject> = { ...event, metadata };
  return expectedVersion === UNSTORED ? { op: 'create', object } : { op: 'update', object, expectedVersion };
}

function takeDeletes(index: EventIndex): readonly Write[] {
  return index.takeExcess(DELETES_PER_COMMIT).flatMap(({ metadata }) => {
    const { name, resourceVersion: expectedVersion } = metadata;
    return expectedVersion === UNSTORED ? [] : [{ op: 'delete', kind: 'Event', name, expectedVersion }];
  });
}

function cut(message: string): string {
  return message.length <= MAX_EVENT_MESSAGE ? message : `${message.slice(0, MAX_EVENT_MESSAGE - 1)}…`;
}
