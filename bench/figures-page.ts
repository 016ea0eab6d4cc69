/** The table of figures in docs/benchmarks.md, between two markers. Pure. */
import type { Figure } from './figures.ts';

const BEGIN = '<!-- figures: npm run bench -- --write -->';
const END = '<!-- end of figures -->';
const HEAD = '| figure | value | reference | ratio | measured |\n|---|---|---|---|---|\n';

export interface DatedFigure extends Figure {
  /** day, and what else the machine was at */
  readonly on: string;
}

/** Puts figures in place of those of the same names, and new ones at the end. @throws {Error} where the page has no markers */
export function replaceFigures(page: string, figures: readonly DatedFigure[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) {
    throw new Error(`Cannot write figures as the page lacks its markers: ${BEGIN} and ${END}`);
  }
  const rows = new Map(
    page
      .slice(begin, end)
      .split('\n')
      .flatMap((line) => {
        const name = /^\| `([^`]+)`/u.exec(line)?.[1];
        return name === undefined ? [] : [[name, line] as const];
      }),
  );
  figures.forEach((figure) => rows.set(figure.name, rowOf(figure)));
  return `${page.slice(0, begin)}${BEGIN}\n\n${HEAD}${[...rows.values()].join('\n')}\n\n${page.slice(end)}`;
}

function rowOf({ name, value, unit, reference, ratio, on }: DatedFigure): string {
  const cells = [
    `\`${name}\``,
    `${value} ${unit}`,
    reference === null ? '' : `${reference} ${unit}`,
    ratio === null ? '' : `${ratio} x`,
    on,
  ];
  return `| ${cells.join(' | ')} |`;
}
