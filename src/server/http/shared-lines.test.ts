import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLines } from './shared-lines.ts';

test('SharedLines.find() writes a change once for each type that a view may give it, and forgets what is old', () => {
  const lines = new SharedLines();
  const written: string[] = [];
  const find = (version: number, type: 'ADDED' | 'MODIFIED'): string =>
    lines.find(version, type, () => {
      written.push(`${type} ${version}`);
      return `${type} ${version}`;
    });
  assert.equal(find(1, 'MODIFIED'), 'MODIFIED 1');
  assert.equal(find(1, 'MODIFIED'), 'MODIFIED 1');
  assert.equal(find(1, 'ADDED'), 'ADDED 1', 'what enters a filtered view is ADDED there');
  assert.equal(find(257, 'ADDED'), 'ADDED 257', 'another version in the same place');
  assert.deepEqual(written, ['MODIFIED 1', 'ADDED 1', 'ADDED 257']);
});
