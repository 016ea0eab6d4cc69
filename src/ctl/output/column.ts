/** What a table of resources shows: one entry a column. */
import type { Cell } from './table.ts';

export interface Column<Item> {
  readonly header: string;
  /** shown by `-o wide` alone */
  readonly isWide?: boolean;
  cell(item: Item, nowMs: number): Cell;
}
