/** Event facts: what happened, before it is counted and stored. */
import { hash } from 'node:crypto';
import type { EventSubject, EventType } from '../../api/event.ts';
import type { StoredObject } from '../../store/store.ts';

/** Something happened to an object. Two facts with the same object, part, type and reason are one Event that happened twice. */
export interface EventFact {
  readonly object: EventSubject;
  readonly type: EventType;
  /** CamelCase word from code, an agent's for a failed Project: never free text, as each one is another Event */
  readonly reason: string;
  /** what part of the object it is about, where each part has Events of its own */
  readonly part?: string;
  /** a sentence for a person; cut at MAX_EVENT_MESSAGE characters */
  readonly message: string;
}

/** Who takes in what happened. */
export interface FactSink {
  /** Synchronous, memory only, never throws; what there is no room for is dropped and counted. */
  record(fact: EventFact): void;
}

export function subjectOf({ kind, metadata }: StoredObject): EventSubject {
  return { kind, name: metadata.name, uid: metadata.uid };
}

/** `Kind/name`: what bounds and budgets count by. Not by uid: an object deleted and made anew without end stays one source. */
export function sourceOf({ kind, name }: EventSubject): string {
  return `${kind}/${name}`;
}

/** What makes two facts the same Event. */
export function keyOf({ object, type, reason, part }: Omit<EventFact, 'message'>): string {
  const key = `${object.kind}\0${object.name}\0${object.uid}\0${type}\0${reason}`;
  return part === undefined ? key : `${key}\0${part}`;
}

const NAME_PREFIX_LENGTH = 200; // with the dot and the hash well below the 253 characters of a name

/** The name of the Event: readable up to the dot, then 64 bits of its key, so that the same thing again is an update. */
export function eventNameOf(fact: Omit<EventFact, 'message'>): string {
  const suffix = hash('sha256', keyOf(fact), 'hex').slice(0, 16);
  const prefix = fact.object.name.slice(0, NAME_PREFIX_LENGTH).replace(/(?<![.-])[.-]+$/u, '');
  return `${prefix}.${suffix}`;
}
