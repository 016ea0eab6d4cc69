/** `get --watch`: what is there, then a row (or a document) for each change. Callers: commands/get.ts. */
import type { ListQuery } from '../../client/resource-client.ts';
import type { CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { follow, type FollowEvent } from './follow.ts';
import { renderStream } from '../output/document.ts';
import { GrowingTable } from '../output/growing-table.ts';
import type { Selection } from '../resource-type.ts';
import { resourceOf, tableOf, type AnyObject, type TableView } from '../resource-view.ts';

/** Of tables. */
interface Looks {
  readonly showLabels: boolean;
  readonly headers: boolean;
}

/** Lasts until the signal aborts. */
export async function watchResources(
  context: CommandContext,
  selections: readonly Selection[],
  { query, ...looks }: Looks & { readonly query: ListQuery },
): Promise<number> {
  const [selection] = selections;
  if (selection === undefined || selections.length > 1) {
    throw new UsageError('Cannot watch several types at once: name one');
  }
  const { clock, random, signal } = context;
  const [name] = selection.names;
  const resource = resourceOf(await context.connect(), selection.type);
  const seen = new Map<string, AnyObject>();
  const print = createPrinter(context, selection, looks);
  let isAway = false;
  let isBegun = false;
  let told = '';
  for await (const event of follow(
    { resource, query, clock, random, ...(selection.names.length === 1 && name !== undefined && { name }) },
    signal,
  )) {
    if ((event.kind === 'away') !== isAway) {
      context.io.stderr.write(event.kind === 'away' ? `warning: ${event.error.message}; trying again\n` : 'the server answers again\n');
    }
    isAway = event.kind === 'away';
    await print(takeNews(event, seen, selection.names));
    if (event.kind === 'listed' && !isBegun) {
      const missing = selection.names.filter((wanted) => !event.items.some(({ metadata }) => metadata.name === wanted));
      context.io.stderr.write(missing.map((wanted) => `${selection.type} ${JSON.stringify(wanted)} not found; waiting for it\n`).join(''));
      isBegun = true;
    }
    if (event.kind === 'listed') {
      const warnings = event.warnings.map((warning) => `warning: ${warning}\n`).join('');
      context.io.stderr.write(warnings === told ? '' : warnings);
      told = warnings;
    }
  }
  return 0;
}

interface News {
  readonly object: AnyObject;
  readonly isGone: boolean;
}

/** What of an event was not printed yet. */
function takeNews(event: FollowEvent<AnyObject>, seen: Map<string, AnyObject>, names: readonly string[]): readonly News[] {
  const isWanted = ({ metadata }: AnyObject): boolean => names.length === 0 || names.includes(metadata.name);
  switch (event.kind) {
    case 'listed': {
      const there = new Set(event.items.map(({ metadata }) => metadata.name));
      const gone = [...seen.values()].filter(({ metadata }) => !there.has(metadata.name));
      const fresh = event.items.filter(isWanted).filter((item) => isNews(item, seen));
      gone.forEach(({ metadata }) => seen.delete(metadata.name));
      fresh.forEach((item) => seen.set(item.metadata.name, item));
      return [...gone.map((object) => ({ object, isGone: true })), ...fresh.map((object) => ({ object, isGone: false }))];
    }
    case 'changed':
      if (!isWanted(event.object) || !isNews(event.object, seen)) {
        return [];
      }
      seen.set(event.object.metadata.name, event.object);
      return [{ object: event.object, isGone: false }];
    case 'gone':
      return seen.delete(event.object.metadata.name) ? [{ object: event.object, isGone: true }] : [];
    case 'away':
      return [];
    default:
      return event satisfies never;
  }
}

function isNews({ metadata }: AnyObject, seen: ReadonlyMap<string, AnyObject>): boolean {
  return seen.get(metadata.name)?.metadata.resourceVersion !== metadata.resourceVersion;
}

function createPrinter(
  { io, output = 'table', clock }: CommandContext,
  { type }: Selection,
  { showLabels, headers }: Looks,
): (news: readonly News[]) => Promise<void> {
  const growing = new GrowingTable(io.stdout, { hasHeader: headers });
  const view = { isWide: output === 'wide', hasLabels: showLabels };
  const takeVisible = createVisibleFilter(type, view);
  return async (allNews) => {
    const news = output === 'table' || output === 'wide' ? takeVisible(allNews) : allNews;
    if (news.length === 0) {
      return;
    }
    if (output === 'json' || output === 'yaml') {
      const documents = news.map(({ object }) => object);
      io.stdout.write(await renderStream(output, documents));
      return;
    }
    if (output === 'name') {
      io.stdout.write(news.map(({ object }) => `${type}/${object.metadata.name}\n`).join(''));
      return;
    }
    const table = tableOf(
      type,
      news.map(({ object }) => object),
      { ...view, nowMs: clock.wallMs() },
    );
    // what is gone says so where its state was: a row like the others would read as a change
    const rows = table.rows.map((row, index) => (news[index]?.isGone === true ? row.with(1, { text: 'Deleted', tone: 'dim' }) : row));
    io.stdout.write(growing.render(table.headers, rows));
  };
}

/** Lets through what a table shows: not a change of which no column tells, nor that time has passed. */
function createVisibleFilter(type: Selection['type'], view: Omit<TableView, 'nowMs'>): (news: readonly News[]) => readonly News[] {
  /** uid -> its row as it was printed, its ages left out: at the beginning of time all of them are 0s */
  const shown = new Map<string, string>();
  return (news) =>
    news.filter(({ object, isGone }) => {
      const { uid } = object.metadata;
      if (isGone) {
        shown.delete(uid);
        return true;
      }
      const row = JSON.stringify(tableOf(type, [object], { ...view, nowMs: 0 }).rows);
      const isVisible = shown.get(uid) !== row;
      shown.set(uid, row);
      return isVisible;
    });
}
