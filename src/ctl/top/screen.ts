/** A table that is shown anew in place, and what does not fit left out. Callers: commands/top.ts. */
import type { Screen } from '../io.ts';
import { toOneLine } from '../output/printable.ts';
import { columnWidths, renderTable, type Cell } from '../output/table.ts';

export interface Column {
  readonly header: string;
  /** left out on a terminal that is too narrow, the highest first; not there: never */
  readonly giveUp?: number;
}

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

const GAP_WIDTH = 3;

/** The table, of as many columns as the terminal is wide; what is no terminal gets them all. */
export function renderFitting({ columns, rows }: Table, screen: Screen): string {
  const widths = columnWidths(
    columns.map(({ header }) => header),
    rows,
  );
  let kept = columns.map((_, index) => index);
  const widthOf = (): number => kept.reduce((sum, index) => sum + (widths[index] ?? 0), 0) + GAP_WIDTH * (kept.length - 1);
  while (screen.isTerminal && widthOf() > screen.columns) {
    const worst = Math.max(...kept.map((index) => columns[index]?.giveUp ?? 0));
    if (worst === 0) {
      break;
    }
    kept = kept.filter((index) => (columns[index]?.giveUp ?? 0) < worst);
  }
  return renderTable(
    kept.map((index) => columns[index]?.header ?? ''),
    rows.map((row) => kept.map((index) => row[index] ?? '')),
    screen,
  );
}

const HOME = '\u001B[H';
const ERASE_LINE_END = '\u001B[K';
const ERASE_BELOW = '\u001B[J';

/** Shows a table in place of what is on the screen, cut to its height, with remarks below. */
export function showLive(table: Table, remarks: readonly string[], screen: Screen): void {
  const notes = remarks.map((remark) => Array.from(toOneLine(remark)).slice(0, screen.columns).join(''));
  const room = Math.max(3, screen.rows - 1 - Math.min(notes.length, 3));
  const lines = renderFitting(table, screen).split('\n').slice(0, -1);
  const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`];
  const text = [...shown, ...notes.slice(0, 3)].map((line) => `${line}${ERASE_LINE_END}\n`).join('');
  screen.write(`${HOME}${text}${ERASE_BELOW}`);
}
