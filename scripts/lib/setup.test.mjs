import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { acquireLock } from './setup-lock.mjs';
import { isInstalled, lastLines } from './setup.mjs';

const LOCK = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b-win32': { version: '2.0.0', optional: true } } };

test('isInstalled() is true when npm holds every package of the lock file, but for optional ones of other systems', () => {
  assert.equal(isInstalled(LOCK, { packages: { 'node_modules/a': { version: '1.0.0' } } }), true);
});

test('isInstalled() is false for another version, a missing package, one too many, and no record at all', () => {
  assert.equal(isInstalled(LOCK, { packages: { 'node_modules/a': { version: '1.0.1' } } }), false);
  assert.equal(isInstalled(LOCK, { packages: {} }), false);
  assert.equal(isInstalled(LOCK, { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/c': { version: '3.0.0' } } }), false);
  assert.equal(isInstalled(LOCK, undefined), false);
});

test('lastLines() gives the end of a text', () => {
  assert.equal(lastLines('a\nb\nc\n', 2), 'b\nc');
});

test('acquireLock() lets one in after the other and leaves nothing', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'lock-'));
  try {
    const folder = path.join(root, 'lock');
    const release = await acquireLock(folder, () => assert.fail('nobody else holds it'));
    release();
    const again = await acquireLock(folder, () => assert.fail('nobody else holds it'));
    again();
    assert.deepEqual(readdirSync(root), []);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test('acquireLock() takes over from a holder that is dead', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'lock-'));
  try {
    const folder = path.join(root, 'lock');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'holder'), `${process.pid} 1 aa`); // this pid, but of a process that started at another time
    const release = await acquireLock(folder, () => assert.fail('the holder is dead'));
    release();
    assert.deepEqual(
      readdirSync(root).filter((name) => !name.includes('.dead-')), // goes when this process ends
      [],
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
