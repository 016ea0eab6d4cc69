import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTable } from './table.ts';

const PLAIN = { hasColor: false };

test('renderTable() aligns columns three spaces apart and leaves no space at line ends', () => {
  const text = renderTable(
    ['NAME', 'STATE'],
    [
      ['worker-01', { text: 'Ready', tone: 'good' }],
      ['b', ''],
    ],
    PLAIN,
  );
  assert.equal(text, 'NAME        STATE\nworker-01   Ready\nb\n');
});

test('renderTable() counts characters, not colours', () => {
  const rows = [[{ text: 'Ready', tone: 'good' }, 'x'] as const, [{ text: 'NotReady', tone: 'bad' }, 'y'] as const];
  assert.equal(
    renderTable(['S', 'X'], rows, { hasColor: true }),
    'S          X\n\u001B[32mReady\u001B[0m      x\n\u001B[31mNotReady\u001B[0m   y\n',
  );
});

test('renderTable() keeps a cell on its line and its control characters off the terminal', () => {
  assert.equal(renderTable(['M'], [['a\nb\u001B[2Jc']], PLAIN), 'M\na b\\x1b[2Jc\n');
});

test('renderTable() takes 200,000 rows', () => {
  const rows = Array.from({ length: 200_000 }, () => ['x']);
  assert.equal(renderTable(['N'], rows, PLAIN).length, 2 + 2 * 200_000);
});
