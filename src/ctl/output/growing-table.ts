/**
 * Growing table: one that is printed piece by piece: one header before the first, and columns that only ever become wider.
 *
 * Owns     the widths of what was printed, and whether the header was.
 * Callers  commands/events.ts, waiting/watch-resources.ts
 */
import type { Screen } from '../io.ts';
import { columnWidths, renderTable, type Cell } from './table.ts';

export class GrowingTable {
  readonly #screen: Pick<Screen, 'hasColor'>;
  #widths: readonly number[] = [];
  #hasHeader: boolean;

  constructor(screen: Pick<Screen, 'hasColor'>, { hasHeader = true }: { readonly hasHeader?: boolean } = {}) {
    this.#screen = screen;
    this.#hasHeader = hasHeader;
  }

  /** The next piece, with its final line feed. */
  render(headers: readonly string[], rows: readonly (readonly Cell[])[]): string {
    this.#widths = columnWidths(headers, rows).map((width, column) => Math.max(width, this.#widths[column] ?? 0));
    const piece = renderTable(headers, rows, this.#screen, { minimumWidths: this.#widths, hasHeader: this.#hasHeader });
    this.#hasHeader = false;
    return piece;
  }
}
