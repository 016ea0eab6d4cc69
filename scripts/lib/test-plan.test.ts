import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterFiles, readTestArguments } from './test-plan.ts';

test('readTestArguments() takes every kind when none is named', () => {
  assert.deepEqual(readTestArguments([]), {
    kinds: ['unit', 'contract', 'integration', 'sim', 'seed', 'e2e'],
    filters: [],
    namePatterns: [],
  });
});

test('readTestArguments() tells kinds, file filters and name patterns apart', () => {
  assert.deepEqual(readTestArguments(['unit', 'e2e', 'lease', '--test-name-pattern=a=b', '--test-name-pattern', 'c']), {
    kinds: ['unit', 'e2e'],
    filters: ['lease'],
    namePatterns: ['a=b', 'c'],
  });
});

test('readTestArguments() refuses an option that there is not', () => {
  assert.throws(() => readTestArguments(['--watch']), /no such option: --watch/u);
});

test('filterFiles() keeps the files that hold any of the filters', () => {
  const files = ['/r/test/e2e/hello.test.ts', '/r/test/e2e/kill.test.ts', '/r/src/base/ring.test.ts'];
  assert.deepEqual(filterFiles(files, []), files);
  assert.deepEqual(filterFiles(files, ['./test/e2e/hello.test.ts', 'ring']), [files[0], files[2]]);
});
