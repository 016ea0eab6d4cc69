import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Screen } from '../io.ts';
import { createProgress } from './progress.ts';

function screenOf(size: { readonly isTerminal: boolean; readonly columns?: number; readonly rows?: number }): Screen & { take(): string } {
  let written = '';
  return {
    columns: 40,
    rows: 24,
    hasColor: false,
    ...size,
    write: (text) => {
      written += text;
    },
    take: () => {
      const taken = written;
      written = '';
      return taken;
    },
  };
}

test('a plain screen gets a line when its text changes, and never again for the same', () => {
  const screen = screenOf({ isTerminal: false });
  const progress = createProgress(screen);
  progress.show([{ key: 'a', text: 'Pending', live: 'Pending 1s' }]);
  progress.show([{ key: 'a', text: 'Pending', live: 'Pending 2s' }]);
  progress.show([
    { key: 'a', text: 'Running' },
    { key: 'b', text: 'Running' },
  ]);
  progress.clear();
  assert.equal(screen.take(), 'Pending\nRunning\nRunning\n');
});

test('a terminal gets the block redrawn from its first line, and taken away by clear()', () => {
  const screen = screenOf({ isTerminal: true });
  const progress = createProgress(screen);
  progress.show([
    { key: 'a', text: 'one' },
    { key: 'b', text: 'x', live: 'two' },
  ]);
  assert.equal(screen.take(), 'one\ntwo\n');
  progress.show([
    { key: 'a', text: 'one' },
    { key: 'b', text: 'x', live: 'two' },
  ]);
  assert.equal(screen.take(), '');
  progress.show([{ key: 'a', text: 'three' }]);
  assert.equal(screen.take(), '\u001B[2A\r\u001B[Jthree\n');
  progress.clear();
  assert.equal(screen.take(), '\u001B[1A\r\u001B[J');
  progress.clear();
  assert.equal(screen.take(), '');
});

test('a line wider than the terminal is wrapped at words, and cut after its third row', () => {
  const screen = screenOf({ isTerminal: true });
  createProgress(screen).show([{ key: 'a', text: 'word '.repeat(60) }]);
  const lines = screen.take().trimEnd().split('\n');
  assert.equal(lines.length, 3);
  assert.ok(lines.every((line) => line.length < 40));
  assert.ok(lines[1]?.startsWith('    word'));
  assert.ok(lines[2]?.endsWith('…'));
});

test('a block higher than the terminal is cut: lines that scrolled out cannot be redrawn', () => {
  const screen = screenOf({ isTerminal: true, rows: 8 });
  createProgress(screen).show(Array.from({ length: 30 }, (_, index) => ({ key: String(index), text: `line ${index}` })));
  const lines = screen.take().trimEnd().split('\n');
  assert.equal(lines.length, 6);
  assert.equal(lines.at(-1), '… and 25 lines more');
});
