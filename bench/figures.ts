/** How a benchmark tells its figures: one JSON line each for programs, and a short table for people on stderr. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** the same measured of the thing we compare with, in the same run; null where there is none */
  readonly reference: number | null;
  /** value / reference */
  readonly ratio: number | null;
}

/** Prints one figure and returns it for the table. */
export function tell(name: string, value: number, unit: string, reference: number | null = null): Figure {
  const figure = {
    name,
    value: round(value),
    unit,
    reference: reference === null ? null : round(reference),
    ratio: reference === null ? null : round(value / reference),
  };
  process.stdout.write(`${JSON.stringify(figure)}\n`);
  return figure;
}

export function printTable(figures: readonly Figure[]): void {
  const rows = figures.map(({ name, value, unit, reference, ratio }) => [
    name,
    `${value} ${unit}`,
    reference === null ? '-' : `${reference} ${unit}`,
    ratio === null ? '-' : `${ratio} x`,
  ]);
  const table = [['FIGURE', 'VALUE', 'REFERENCE', 'RATIO'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  for (const row of table) {
    process.stderr.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd()}\n`,
    );
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  return (sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2) ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
