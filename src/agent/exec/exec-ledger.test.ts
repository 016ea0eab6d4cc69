import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { systemDisk } from '../../base/disk.ts';
import { ExecLedger } from './exec-ledger.ts';
import type { LeftRunning } from './exec-session.ts';

const leftOf = (execId: string): LeftRunning => ({ execId, containerId: 'c0ffee0f'.repeat(8), hasTty: false });

test('recall() tells what was begun and not over, whoever began it', () => {
  using scratch = makeScratch();
  const file = path.join(scratch.path, 'commands.json');
  const first = new ExecLedger(file, systemDisk);
  assert.deepEqual(first.recall(), []);
  ['a', 'b', 'c'].forEach((id) => first.begun(leftOf(id)));
  first.over('b');
  const second = new ExecLedger(file, systemDisk);
  assert.deepEqual(second.recall(), [leftOf('a'), leftOf('c')]);
  second.begun(leftOf('d'));
  second.over('a');
  assert.deepEqual(new ExecLedger(file, systemDisk).recall(), [leftOf('c'), leftOf('d')], 'it was killed before c was ended');
});

test('recall() believes nothing that is not whole', () => {
  using scratch = makeScratch();
  const file = path.join(scratch.path, 'commands.json');
  for (const text of ['', '{', 'null', '{"format":2,"running":[]}', '{"format":1,"running":7}', '{"format":1,"running":[null,{},7]}']) {
    writeFileSync(file, text);
    assert.deepEqual(new ExecLedger(file, systemDisk).recall(), [], text);
  }
  writeFileSync(file, JSON.stringify({ format: 1, running: [{ ...leftOf('a'), containerId: 'c' }, leftOf('b')] }));
  assert.deepEqual(new ExecLedger(file, systemDisk).recall(), [leftOf('b')], 'a short id is found in the path of many');
});

test('a disk that takes nothing costs no command', () => {
  const broken = (): never => {
    throw new Error('ENOSPC');
  };
  const ledger = new ExecLedger('/nowhere', { readTextNow: broken, overwriteNow: broken });
  assert.deepEqual(ledger.recall(), []);
  ledger.begun(leftOf('a'));
  ledger.over('a');
});
