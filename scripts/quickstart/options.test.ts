import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions } from './options.ts';

const DEFAULTS = { isTerminal: true, dir: '/repo/.quickstart', cwd: '/home/me' };

test('readOptions() stays on a terminal and ends without one', () => {
  assert.deepEqual(readOptions([], DEFAULTS), { isOnce: false, dir: '/repo/.quickstart' });
  assert.deepEqual(readOptions([], { ...DEFAULTS, isTerminal: false }), { isOnce: true, dir: '/repo/.quickstart' });
  assert.deepEqual(readOptions(['--once'], DEFAULTS), { isOnce: true, dir: '/repo/.quickstart' });
});

test('readOptions() takes --dir relative to where the user stands', () => {
  assert.deepEqual(readOptions(['--dir', 'qs'], DEFAULTS), { isOnce: false, dir: '/home/me/qs' });
  assert.deepEqual(readOptions(['--dir=/tmp/qs'], DEFAULTS), { isOnce: false, dir: '/tmp/qs' });
});

test('readOptions() refuses what it does not know, and a --dir without a folder', () => {
  assert.throws(() => readOptions(['--port'], DEFAULTS), /at "--port"/u);
  assert.throws(() => readOptions(['--dir'], DEFAULTS), /at "--dir"/u);
});
