/** Events as tables: those of `events`, and the lines of `describe`. */
import type { EventObject } from '../../api/event.ts';
import type { Screen } from '../io.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';
import type { DescribeView } from './describe-common.ts';
import { heading } from './section.ts';
import { renderTable } from './table.ts';

export const EVENT_COLUMNS: readonly Column<EventObject>[] = [
  { header: 'LAST SEEN', cell: formatLastSeen },
  { header: 'TYPE', cell: ({ type }) => ({ text: type, tone: type === 'Warning' ? 'busy' : 'plain' }) },
  { header: 'REASON', cell: ({ reason }) => reason },
  { header: 'OBJECT', cell: ({ object }) => `${object.kind.toLowerCase()}/${object.name}` },
  { header: 'FIRST SEEN', isWide: true, cell: ({ firstSeen }, nowMs) => ageOf(firstSeen, nowMs) },
  { header: 'NAME', isWide: true, cell: ({ metadata }) => metadata.name },
  { header: 'MESSAGE', cell: ({ message }) => message },
];

/** As kubectl has it: `2m`, or `2m (x5 over 10m)` for what happened more than once. */
function formatLastSeen({ count, firstSeen, lastSeen }: EventObject, nowMs: number): string {
  const age = ageOf(lastSeen, nowMs);
  return count === 1 ? age : `${age} (x${count} over ${ageOf(firstSeen, nowMs)})`;
}

/** Beyond these `describe` would be about its events; `caractrl events` has them all. */
const DESCRIBED = 20;

/**
 * The Events of one object as the lines of a table, without line feeds: what happened last comes last, the newest twenty.
 * @param screen for the colours; default none
 */
export function eventLines(
  events: readonly EventObject[],
  nowMs: number,
  screen: Pick<Screen, 'hasColor'> = { hasColor: false },
): readonly string[] {
  if (events.length === 0) {
    return ['none'];
  }
  const newest = events.toSorted(byLastSeen).slice(-DESCRIBED);
  const columns = EVENT_COLUMNS.filter(({ header, isWide }) => isWide !== true && header !== 'OBJECT');
  const rows = newest.map((event) => columns.map((column) => column.cell(event, nowMs)));
  const table = renderTable(
    columns.map(({ header }) => header),
    rows,
    screen,
  );
  return table.trimEnd().split('\n');
}

/** The part of `describe` on Events. */
export function renderEvents(events: readonly EventObject[], { screen, nowMs }: DescribeView): string {
  const lines = eventLines(events, nowMs, screen).map((line) => `  ${line}\n`);
  return heading(screen, 'Events') + lines.join('');
}

/** Times of the server, all in one form, so text is enough. */
export function byLastSeen(left: EventObject, right: EventObject): number {
  return left.lastSeen < right.lastSeen ? -1 : left.lastSeen > right.lastSeen ? 1 : 0;
}
