/** Routes of Events: list, watch, read. Nobody writes them but the system, so every other method is 405. */
import Type from 'typebox';
import { EventSchema, OBJECT_REFERENCE, type EventObject } from '../../../api/event.ts';
import { API_VERSION, Closed, Text } from '../../../api/meta.ts';
import type { EventService } from '../../events/event-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { sendWatch, type WatchDeps } from '../watch-response.ts';
import { LIST_QUERY, nameOf } from './resource-routes.ts';

const EventsQuery = Closed({
  object: Type.Optional(Text(OBJECT_REFERENCE, 'Only those about this object')),
  since: Type.Optional(
    Type.String({ maxLength: 64, description: 'Only those that happened since: a duration back from now (10m), or an RFC 3339 time' }),
  ),
  watch: LIST_QUERY.watch,
  resourceVersion: LIST_QUERY.resourceVersion,
});

const EventListSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('EventList'),
  metadata: Closed({ resourceVersion: Type.String() }),
  items: Type.Array(EventSchema),
});

export interface EventRoutesDeps extends WatchDeps {
  readonly events: EventService;
}

export function eventRoutes(deps: EventRoutesDeps): readonly Route[] {
  const { events } = deps;
  const tag = 'events';
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/events',
      summary: 'List events, what happened last coming last, or watch them',
      tag,
      query: EventsQuery,
      answers: {
        200: { description: 'The list, or with watch a stream of changes', schema: EventListSchema },
        410: { description: 'The resourceVersion is too old: list again' },
      },
      handle: async ({ query, request, reply }) => {
        if (query.watch !== true || request.method === 'HEAD') {
          return events.list(query);
        }
        const since = query.resourceVersion === undefined ? undefined : Number(query.resourceVersion);
        const isSelected = events.createFilter(query);
        return sendWatch<EventObject>(deps, { kind: 'Event', since, isSelected, present: (event) => event }, { request, reply });
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/events/{name}',
      summary: 'Read an event',
      tag,
      answers: { 200: { description: 'It', schema: EventSchema }, 404: { description: 'There is none of that name' } },
      handle: async ({ params }) => events.get(nameOf(params)),
    }),
  ];
}
