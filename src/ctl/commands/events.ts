/** caractrl events: what happened, to all or to one object. */
import type { EventObject, EventType } from '../../api/event.ts';
import { parseSince, SINCE_EXPECTS } from '../../api/since.ts';
import type { EventClient, EventQuery } from '../../client/event-client.ts';
import { defineCommand, flag, text, type CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { follow, type Followed } from '../waiting/follow.ts';
import { renderDocument, renderStream, toDocument } from '../output/document.ts';
import { byLastSeen, EVENT_COLUMNS } from '../output/event-columns.ts';
import { GrowingTable } from '../output/growing-table.ts';
import { findType, kindOf, readSelections } from '../resource-type.ts';

export const eventsCommand = defineCommand({
  name: 'events',
  summary: 'Show what happened to Nodes and Projects',
  args: '[TYPE/NAME]',
  options: {
    since: text('time', `only what happened since: ${SINCE_EXPECTS}`),
    for: text('type/name', 'only what happened to this object: the same as naming it'),
    types: text('types', 'only Events of this type: Normal, Warning or both, with a comma between'),
    watch: flag('then show each as it happens, until Ctrl-C', { short: 'w' }),
    follow: flag('the same as --watch', { short: 'f' }),
  },
  examples: [
    { command: 'caractrl events', does: 'of the last day, what happened last coming last' },
    { command: 'caractrl events node/worker-01', does: 'of one node' },
    { command: 'caractrl events project/shop --since 10m', does: 'of one Project, lately' },
    { command: 'caractrl events -f', does: 'as they happen' },
    { command: 'caractrl events -f --types Warning', does: 'as they happen, but only what went wrong' },
  ],
  run: async (context, args, { since, for: object, types, watch, follow: isFollowing }) => {
    if (object !== undefined && args.length > 0) {
      throw new UsageError(`Cannot show events of ${args.join(' ')} and of ${object} at once: name one, or none for all`);
    }
    const isWanted = readTypes(types);
    const query = readQuery(context, object === undefined ? args : [object], since);
    return watch || isFollowing ? watchEvents(context, query, isWanted) : listEvents(context, query, isWanted);
  },
});

function readQuery({ clock }: CommandContext, args: readonly string[], since: string | undefined): EventQuery {
  if (since !== undefined && parseSince(since, clock.wallMs()) === undefined) {
    throw new UsageError(`Cannot use --since ${JSON.stringify(since)} as it must be ${SINCE_EXPECTS}`);
  }
  const object = args.length === 0 ? undefined : readObject(args);
  return { ...(object !== undefined && { object }), ...(since !== undefined && { happenedSince: since }) };
}

/** Those of api/event.ts, which loads the schemas. */
const TYPES: readonly EventType[] = ['Normal', 'Warning'];

type IsWanted = (event: EventObject) => boolean;

function readTypes(text: string | undefined): IsWanted {
  if (text === undefined) {
    return () => true;
  }
  const asked = text.split(',').map((word) => TYPES.find((type) => type.toLowerCase() === word.trim().toLowerCase()));
  if (asked.includes(undefined)) {
    throw new UsageError(`Cannot use --types ${JSON.stringify(text)} as it must be ${TYPES.join(', ')} or both, with a comma between`);
  }
  return ({ type }) => asked.includes(type);
}

/** `TYPE/NAME` or `TYPE NAME`. @returns `Kind/name` */
function readObject(args: readonly string[]): string {
  const [word = ''] = args;
  if (args.length === 1 && !word.includes('/') && findType(word) === undefined) {
    throw new UsageError(`Cannot show events of ${JSON.stringify(word)} as that is neither TYPE/NAME nor a type`, {
      hint: `caractrl events node/${word}`,
    });
  }
  const selections = readSelections(args, 'events');
  const [first, ...others] = selections.flatMap(({ type, names }) => names.map((name) => `${kindOf(type)}/${name}`));
  if (first === undefined) {
    throw new UsageError(`Cannot tell of which ${args[0] ?? ''} to show events as no name is given`, { hint: 'caractrl events node/NAME' });
  }
  if (others.length > 0) {
    throw new UsageError('Cannot show events of several objects at once: name one, or none for all');
  }
  return first;
}

async function listEvents(context: CommandContext, query: EventQuery, isWanted: IsWanted): Promise<number> {
  const { io, output = 'table', signal } = context;
  const items = (await (await context.connect()).events.list(query, signal)).items.filter(isWanted);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, toDocument(items, { isSingle: false, listKind: 'EventList' })));
  } else if (items.length === 0) {
    io.stderr.write('No events found\n');
  } else {
    await createPrinter(context)(items);
  }
  return 0;
}

/** Lasts until the signal aborts. */
async function watchEvents(context: CommandContext, query: EventQuery, isWanted: IsWanted): Promise<number> {
  const { io, clock, random, signal } = context;
  const resource = toFollowed((await context.connect()).events, query);
  const print = createPrinter(context);
  /** name -> version that was shown */
  const shown = new Map<string, string>();
  let isAway = false;
  for await (const event of follow({ resource, query: {}, clock, random }, signal)) {
    if (isAway && event.kind !== 'away') {
      io.stderr.write('the server answers again\n');
    }
    switch (event.kind) {
      case 'listed':
        forgetOthers(shown, event.items);
        await print(takeNews(shown, event.items.filter(isWanted)));
        break;
      case 'changed':
        await print(takeNews(shown, [event.object].filter(isWanted)));
        break;
      case 'gone':
        shown.delete(event.object.metadata.name); // it grew old: nothing happened
        break;
      case 'away':
        io.stderr.write(isAway ? '' : `warning: ${event.error.message}; trying again\n`);
        break;
      default:
        return event satisfies never;
    }
    isAway = event.kind === 'away';
  }
  return 0;
}

function toFollowed(events: EventClient, query: EventQuery): Followed<EventObject> {
  return {
    list: (_query, signal) => events.list(query, signal),
    watch: ({ since }, signal) => events.watch({ ...query, ...(since !== undefined && { since }) }, signal),
  };
}

function takeNews(shown: Map<string, string>, events: readonly EventObject[]): readonly EventObject[] {
  const news = events.filter(({ metadata }) => shown.get(metadata.name) !== metadata.resourceVersion);
  news.forEach(({ metadata }) => shown.set(metadata.name, metadata.resourceVersion));
  return news.toSorted(byLastSeen);
}

function forgetOthers(shown: Map<string, string>, events: readonly EventObject[]): void {
  const there = new Set(events.map(({ metadata }) => metadata.name));
  for (const name of shown.keys()) {
    if (!there.has(name)) {
      shown.delete(name);
    }
  }
}

/** Prints events as they come: rows under one header, or documents. */
function createPrinter({ io, output = 'table', clock }: CommandContext): (events: readonly EventObject[]) => Promise<void> {
  const columns = EVENT_COLUMNS.filter(({ isWide }) => isWide !== true || output === 'wide');
  const headers = columns.map(({ header }) => header);
  const table = new GrowingTable(io.stdout);
  return async (events) => {
    if (events.length === 0) {
      return;
    }
    if (output === 'json' || output === 'yaml') {
      io.stdout.write(await renderStream(output, events));
      return;
    }
    if (output === 'name') {
      io.stdout.write(events.map(({ metadata }) => `event/${metadata.name}\n`).join(''));
      return;
    }
    const nowMs = clock.wallMs();
    const rows = events.map((event) => columns.map((column) => column.cell(event, nowMs)));
    io.stdout.write(table.render(headers, rows));
  };
}
