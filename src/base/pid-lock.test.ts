import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { until } from '../../scripts/lib/wait.ts';
import { acquirePidLock, findPidLockHolder } from './pid-lock.ts';

const HAS_PROC = existsSync('/proc/self/stat');

function fieldsOf(pid: number): readonly string[] {
  return (readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1) ?? '').trim().split(' ');
}

test('acquirePidLock() keeps a second one out until the first lets go', () => {
  using scratch = makeScratch();
  const file = path.join(scratch.path, 'lock');
  const first = acquirePidLock(file);
  assert.ok('release' in first);
  assert.deepEqual(acquirePidLock(file), { heldBy: process.pid });
  assert.equal(findPidLockHolder(file), process.pid);
  first.release();
  assert.equal(findPidLockHolder(file), undefined);
  assert.ok('release' in acquirePidLock(file));
});

test('acquirePidLock() takes the lock of a process that was killed and that nobody has reaped', { skip: !HAS_PROC }, async () => {
  using scratch = makeScratch();
  const file = path.join(scratch.path, 'lock');
  const parent = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(String(text));
    writeFileSync(file, JSON.stringify({ pid, startedAt: fieldsOf(pid)[19] }));
    assert.deepEqual(acquirePidLock(file), { heldBy: pid });
    await until(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n', {
      what: 'the parent to reap no more',
      timeoutMs: 10_000,
    });
    process.kill(pid, 'SIGKILL');
    await until(() => fieldsOf(pid)[0] === 'Z', { what: 'a zombie', timeoutMs: 10_000 });
    assert.equal(findPidLockHolder(file), undefined);
    assert.ok('release' in acquirePidLock(file));
  } finally {
    parent.kill('SIGKILL');
  }
});
