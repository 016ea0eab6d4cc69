/** Events as functions: read only, as the system alone writes them. */
import type { EventObject } from '../api/event.ts';
import type { ObjectList } from '../api/meta.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import { watchCollection } from './collection.ts';
import type { Transport } from './transport.ts';

export interface EventQuery {
  /** `Kind/name`, such as Node/worker-01 */
  readonly object?: string;
  /** happened since then: a duration back from the server's now, or an RFC 3339 time */
  readonly happenedSince?: string;
}

export interface EventClient {
  /** All in one answer, what happened last coming last. */
  list(query: EventQuery, signal: AbortSignal): Promise<ObjectList<EventObject>>;
  /** Changes after `since` (a resourceVersion), or, without it, ADDED for each Event that is there first. @throws {ApiError} Expired */
  watch(query: EventQuery & { readonly since?: string }, signal: AbortSignal): AsyncIterable<WatchEvent<EventObject>>;
}

const PATH = '/api/v1/events';

export function createEventClient(transport: Transport): EventClient {
  return {
    list: async (query, signal) => {
      const answer = await transport.request({ method: 'GET', path: `${PATH}?${toParameters(query).toString()}` }, signal);
      return answer.body as ObjectList<EventObject>;
    },
    watch: (query, signal) =>
      watchCollection<EventObject>(transport, { path: PATH, parameters: toParameters(query), since: query.since }, signal),
  };
}

function toParameters({ object, happenedSince }: EventQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  if (object !== undefined) {
    parameters.set('object', object);
  }
  if (happenedSince !== undefined) {
    parameters.set('since', happenedSince);
  }
  return parameters;
}
