/** Event service: reads Events. They are written by event-recorder.ts alone. Callers: http/routes/events.ts. */
import type { EventObject } from '../../api/event.ts';
import { invalid } from '../../api/decode.ts';
import { API_VERSION, type ObjectList } from '../../api/meta.ts';
import { parseSince, SINCE_EXPECTS } from '../../api/since.ts';
import type { Clock } from '../../base/clock.ts';
import type { Store } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { sourceOf } from './event-fact.ts';
import { compareLastSeen } from './event-index.ts';

export interface EventQuery {
  /** `Kind/name` */
  readonly object?: string;
  /** last seen then or later: a duration back from now, or an RFC 3339 time */
  readonly since?: string;
}

export interface EventService {
  /** What happened last comes last. All in one answer: there are never more than the recorder's bound. @throws {ApiError} Invalid */
  list(query: EventQuery): Promise<ObjectList<EventObject>>;
  /** @throws {ApiError} NotFound */
  get(name: string): Promise<EventObject>;
  /** Tells which Events a query selects; a `since` that is a duration counts from now. @throws {ApiError} Invalid */
  createFilter(query: EventQuery): (event: EventObject) => boolean;
}

export function createEventService({ store, clock }: { readonly store: Store; readonly clock: Clock }): EventService {
  const createFilter = ({ object, since }: EventQuery): ((event: EventObject) => boolean) => {
    const sinceMs = since === undefined ? -Infinity : readSince(since, clock.wallMs());
    return (event) => (object === undefined || sourceOf(event.object) === object) && Date.parse(event.lastSeen) >= sinceMs;
  };
  return {
    createFilter,
    list: async (query) => {
      const isSelected = createFilter(query);
      const { items, version } = await store.list<EventObject>('Event');
      const metadata = { resourceVersion: String(version) };
      return { apiVersion: API_VERSION, kind: 'EventList', metadata, items: items.filter(isSelected).toSorted(compareLastSeen) };
    },
    get: async (name) => {
      const event = await store.get<EventObject>('Event', name);
      if (event === undefined) {
        throw notFound('event', name);
      }
      return event;
    },
  };
}

function readSince(text: string, nowMs: number): number {
  const sinceMs = parseSince(text, nowMs);
  if (sinceMs === undefined) {
    throw invalid('the query', [{ pointer: '/since', detail: `must be ${SINCE_EXPECTS}: current value is ${JSON.stringify(text)}` }]);
  }
  return sinceMs;
}
