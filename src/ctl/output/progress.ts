/**
 * Shows what is going on while a command waits: on a terminal a block of lines that is redrawn in place, else one plain line a change.
 *
 * Owns     the lines below the cursor of its screen, until `clear`.
 */
import type { Screen } from '../io.ts';
import { toOneLine } from './printable.ts';

export interface ProgressLine {
  /** what the line is about; a plain screen shows it again when its text differs */
  readonly key: string;
  readonly text: string;
  /** how the block shows it, where that differs: columns aligned, say; a plain screen never does */
  readonly live?: string;
}

export interface Progress {
  show(lines: readonly ProgressLine[]): void;
  /** Takes the block away. */
  clear(): void;
}

export function createProgress(screen: Screen): Progress {
  return screen.isTerminal ? createBlock(screen) : createPlainLines(screen);
}

function createPlainLines(screen: Screen): Progress {
  const shown = new Map<string, string>();
  return {
    show: (lines) => {
      for (const { key, text } of lines) {
        if (shown.get(key) !== text) {
          shown.set(key, text);
          screen.write(`${toOneLine(text)}\n`);
        }
      }
    },
    clear: () => undefined,
  };
}

/** A block is looked at, not read. */
const MAX_LINES = 20;
const MAX_WRAPPED = 3;

const TO_LINE_START_AND_ERASE_BELOW = '\r\u001B[J';

function createBlock(screen: Screen): Progress {
  let drawn: readonly string[] = [];
  /** Rows that what is drawn takes now: a terminal made narrower since has wrapped it. */
  const rowsDrawn = (): number => drawn.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / Math.max(1, screen.columns))), 0);
  const erase = (): string => (drawn.length === 0 ? '' : `\u001B[${rowsDrawn()}A${TO_LINE_START_AND_ERASE_BELOW}`);
  return {
    show: (lines) => {
      const next = fit(
        lines.map(({ text, live }) => toOneLine(live ?? text)),
        screen,
      );
      if (next.join('\n') !== drawn.join('\n')) {
        const before = erase();
        drawn = next;
        screen.write(before + next.map((line) => `${line}\n`).join(''));
      }
    },
    clear: () => {
      const before = erase();
      drawn = [];
      if (before !== '') {
        screen.write(before);
      }
    },
  };
}

/** Wraps the lines to the width, and cuts their number to what can be redrawn: lines scrolled out cannot. */
function fit(lines: readonly string[], { columns, rows }: Screen): readonly string[] {
  const limit = Math.max(1, Math.min(MAX_LINES, rows - 2));
  const wrapped = lines.flatMap((line) => wrap(line, Math.max(20, columns - 1)));
  return wrapped.length <= limit ? wrapped : [...wrapped.slice(0, limit - 1), `… and ${wrapped.length - limit + 1} lines more`];
}

/** Breaks at spaces where there are some; what goes on is indented. The width counts code points: wide ones may cost a redraw. */
function wrap(line: string, width: number): readonly string[] {
  const indent = `${/^ */u.exec(line)?.[0] ?? ''}    `;
  const rows: string[] = [];
  let rest = Array.from(line);
  while (rest.length > width && rows.length < MAX_WRAPPED - 1) {
    const space = rest.lastIndexOf(' ', width);
    const end = space > width / 2 ? space : width;
    rows.push(rest.slice(0, end).join(''));
    rest = Array.from(indent + rest.slice(end).join('').trimStart());
  }
  rows.push(rest.length > width ? `${rest.slice(0, width - 1).join('')}…` : rest.join(''));
  return rows;
}
