/** Routes of Events: list, watch, read. Nobody writes them but the system, so every other method is 405. */
import Type from 'typebox';
import { EventSchema, OBJECT_REFERENCE, type EventObject } from '../../../api/event.ts';
import { API_VERSION, Closed, Text } from '../../../api/meta.ts';
import type { Caller } from '../../auth/caller.ts';
import { concealing, isInScope, isUnscoped, type LabelsOf } from '../../auth/scope.ts';
import { notFound } from '../../objects/not-found.ts';
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
  readonly labelsOf: LabelsOf;
}

/** An Event is seen by whoever sees what it is about; of what is gone there are no labels any more. */
function scopeOfEvents(caller: Caller, labelsOf: LabelsOf): (event: EventObject) => boolean {
  if (isUnscoped(caller)) {
    return () => true;
  }
  const isByLabel = caller.kind === 'Person' && (caller.limit?.requirements.length ?? 0) > 0;
  return ({ object: { kind, name } }) => {
    const labels = labelsOf(kind, name);
    const isUntold = labels === undefined && isByLabel && kind !== 'Node';
    return !isUntold && isInScope(caller, { kind, metadata: { name, labels: labels ?? {} } });
  };
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
      access: { verb: 'read', resource: 'events' },
      query: EventsQuery,
      answers: {
        200: { description: 'The list, or with watch a stream of changes', schema: EventListSchema },
        410: { description: 'The resourceVersion is too old: list again' },
      },
      handle: async ({ query, caller, request, reply }) => {
        const isTheirs = scopeOfEvents(caller, deps.labelsOf);
        if (query.watch !== true || request.method === 'HEAD') {
          const list = await events.list(query);
          return { ...list, items: list.items.filter(isTheirs) };
        }
        const since = query.resourceVersion === undefined ? undefined : Number(query.resourceVersion);
        const isAsked = events.createFilter(query);
        const isSelected = (event: EventObject): boolean => isAsked(event) && isTheirs(event);
        const watch = { kind: 'Event', since, isSelected, present: (event: EventObject) => event } as const;
        return sendWatch<EventObject>(deps, { ...watch, ...concealing(caller) }, { request, reply });
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/events/{name}',
      summary: 'Read an event',
      tag,
      access: { verb: 'read', resource: 'events' },
      answers: { 200: { description: 'It', schema: EventSchema }, 404: { description: 'There is none of that name' } },
      handle: async ({ params, caller }) => {
        const event = await events.get(nameOf(params));
        if (!scopeOfEvents(caller, deps.labelsOf)(event)) {
          throw notFound('event', nameOf(params));
        }
        return event;
      },
    }),
  ];
}
