/** The difference of two texts in lines, as `diff -u` shows it. Pure. */

export interface DiffLine {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Products of line counts beyond this are not compared line by line: 2000 changed lines against 2000. */
const MAX_CELLS = 4_000_000;

/** The hunks of a unified diff, each with its `@@` line; none where the texts are the same. */
export function unifiedDiff(before: readonly string[], after: readonly string[]): readonly (readonly DiffLine[])[] {
  const lines = diffLines(before, after);
  const near = lines.map((_, index) => lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ kind }) => kind !== 'same'));
  const hunks: DiffLine[][] = [];
  let old = 1;
  let fresh = 1;
  for (const [index, line] of lines.entries()) {
    if (near[index] === true) {
      if (near[index - 1] !== true) {
        hunks.push([{ kind: 'same', text: `@@ -${old} +${fresh} @@` }]);
      }
      hunks.at(-1)?.push(line);
    }
    old += line.kind === 'added' ? 0 : 1;
    fresh += line.kind === 'removed' ? 0 : 1;
  }
  return hunks;
}

/** All lines of both, in order, with as few changes as can be. */
export function diffLines(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  let start = 0;
  while (start < Math.min(before.length, after.length) && before[start] === after[start]) {
    start += 1;
  }
  let end = 0;
  while (end < Math.min(before.length, after.length) - start && before.at(-1 - end) === after.at(-1 - end)) {
    end += 1;
  }
  const as = (kind: DiffLine['kind'], texts: readonly string[]): readonly DiffLine[] => texts.map((text) => ({ kind, text }));
  return [
    ...as('same', before.slice(0, start)),
    ...diffMiddle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...as('same', before.slice(before.length - end)),
  ];
}

/** By the longest common subsequence. */
function diffMiddle(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  const width = after.length + 1;
  const isTooLarge = before.length * after.length > MAX_CELLS;
  /** length of the longest common subsequence of what comes from (row, column) on */
  const common = new Uint16Array(isTooLarge ? 0 : (before.length + 1) * width);
  const at = (row: number, column: number): number => common[row * width + column] ?? 0;
  if (!isTooLarge) {
    for (let row = before.length - 1; row >= 0; row -= 1) {
      for (let column = after.length - 1; column >= 0; column -= 1) {
        common[row * width + column] =
          before[row] === after[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
      }
    }
  }
  const lines: DiffLine[] = [];
  let row = 0;
  let column = 0;
  while (row < before.length || column < after.length) {
    const [removed, added] = [before[row], after[column]];
    if (!isTooLarge && removed !== undefined && removed === added) {
      lines.push({ kind: 'same', text: removed });
      row += 1;
      column += 1;
    } else if (removed !== undefined && (added === undefined || isTooLarge || at(row + 1, column) >= at(row, column + 1))) {
      lines.push({ kind: 'removed', text: removed });
      row += 1;
    } else {
      lines.push({ kind: 'added', text: added ?? '' });
      column += 1;
    }
  }
  return lines;
}
