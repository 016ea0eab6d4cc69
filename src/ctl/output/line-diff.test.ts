import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffLines, unifiedDiff } from './line-diff.ts';

const SIGNS = { same: ' ', removed: '-', added: '+' } as const;

test('diffLines() gives both texts back, and says no more of them than has changed', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = diffLines(before, after);
      const without = (kind: string): readonly string[] => lines.filter((line) => line.kind !== kind).map((line) => line.text);
      assert.deepEqual(without('added'), before);
      assert.deepEqual(without('removed'), after);
      if (before.join() === after.join()) {
        assert.ok(lines.every(({ kind }) => kind === 'same'));
      }
    }),
  );
});

test('unifiedDiff() shows each change with three lines around it', () => {
  const before = Array.from('abcdefghijklmnopqrst');
  const after = before.with(4, 'E').toSpliced(15, 1);
  const shown = unifiedDiff(before, after).map((hunk) => hunk.map(({ kind, text }) => SIGNS[kind] + text).join(' '));
  assert.deepEqual(shown, [' @@ -2 +2 @@  b  c  d -e +E  f  g  h', ' @@ -13 +13 @@  m  n  o -p  q  r  s']);
  assert.deepEqual(unifiedDiff(before, before), []);
});
