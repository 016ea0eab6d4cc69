/** Aligned columns, three spaces between them. */
import type { Screen } from '../io.ts';
import { paint, type Tone } from './paint.ts';
import { toOneLine } from './printable.ts';

export type Cell = string | { readonly text: string; readonly tone: Tone };

const GAP = '   ';

export interface TableOptions {
  /** put before each line */
  readonly indent?: string;
  /** column widths to keep to at least, such as those of rows printed before */
  readonly minimumWidths?: readonly number[];
  /** false: rows alone */
  readonly hasHeader?: boolean;
}

export function renderTable(
  headers: readonly string[],
  rows: readonly (readonly Cell[])[],
  screen: Pick<Screen, 'hasColor'>,
  { indent = '', minimumWidths = [], hasHeader = true }: TableOptions = {},
): string {
  const cells = rows.map((row) => row.map(toCell));
  const widths = columnWidths(headers, cells).map((width, column) => Math.max(width, minimumWidths[column] ?? 0));
  const lines = [...(hasHeader ? [headers.map((header) => ({ text: header, tone: 'plain' as const }))] : []), ...cells].map(
    (row) =>
      indent +
      row
        .map(({ text, tone }, column) => {
          const padding = column === row.length - 1 ? '' : ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(text)));
          return paint(screen, tone, text) + padding;
        })
        .join(GAP)
        .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** The widths that `renderTable` would give the columns. */
export function columnWidths(headers: readonly string[], rows: readonly (readonly Cell[])[]): readonly number[] {
  return headers.map((header, column) =>
    rows.reduce((width, row) => Math.max(width, widthOf(toCell(row[column] ?? '').text)), header.length),
  );
}

function toCell(cell: Cell): { readonly text: string; readonly tone: Tone } {
  return typeof cell === 'string' ? { text: toOneLine(cell), tone: 'plain' } : { text: toOneLine(cell.text), tone: cell.tone };
}

function widthOf(text: string): number {
  return Array.from(text).length;
}
