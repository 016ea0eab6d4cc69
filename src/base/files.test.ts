import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { writeFileAtomically } from './atomic-file.ts';
import { defaultDataDir } from './data-dir.ts';
import { acquirePidLock } from './pid-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'cara-files-'));
after(() => rmSync(folder, { recursive: true }));

describe('writeFileAtomically()', () => {
  it('writeFileAtomically() replaces the content, for its owner alone, and leaves nothing beside it', async () => {
    const path = join(folder, 'a.json');
    writeFileSync(path, 'old');
    chmodSync(path, 0o644);
    await writeFileAtomically(path, 'new');
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder), ['a.json']);
  });

  it('writeFileAtomically() rejects where the folder is missing', async () => {
    await assert.rejects(writeFileAtomically(join(folder, 'none', 'a.json'), 'x'), { code: 'ENOENT' });
  });
});

describe('acquirePidLock()', () => {
  const path = join(folder, 'agent.lock');

  it('acquirePidLock() names the live process that holds it, until that lets go', () => {
    const first = acquirePidLock(path);
    assert.ok('release' in first);
    assert.deepEqual(acquirePidLock(path), { heldBy: process.pid });
    first.release();
    const second = acquirePidLock(path);
    assert.ok('release' in second);
    second.release();
  });

  for (const [title, content] of [
    ['a pid that is used anew by another process', JSON.stringify({ pid: process.pid, startedAt: '1' })],
    ['a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, startedAt: '12345' })],
    ['content that is no lock', 'garbage'],
  ] as const) {
    it(`acquirePidLock() takes over from ${title}`, () => {
      writeFileSync(path, content);
      const lock = acquirePidLock(path);
      assert.ok('release' in lock);
      assert.deepEqual(acquirePidLock(path), { heldBy: process.pid });
      lock.release();
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.startsWith('agent.lock')),
        [],
      );
    });
  }
});

describe('defaultDataDir()', () => {
  it('defaultDataDir() is the system folder for root, else the XDG state folder', () => {
    assert.equal(defaultDataDir({ env: { HOME: '/root' }, isRoot: true }), '/var/lib/caravanserai');
    assert.equal(defaultDataDir({ env: { XDG_STATE_HOME: '/x' }, isRoot: false }), '/x/caravanserai');
    assert.equal(defaultDataDir({ env: { HOME: '/home/a' }, isRoot: false }), '/home/a/.local/state/caravanserai');
  });

  it('defaultDataDir() is none where the environment names no home: nothing that must last goes to /tmp', () => {
    for (const env of [{}, { HOME: '' }, { HOME: 'a', XDG_STATE_HOME: 'b' }]) {
      assert.equal(defaultDataDir({ env, isRoot: false }), undefined);
    }
  });
});
