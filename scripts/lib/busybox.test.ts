import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isStaticElf } from './busybox.ts';

const PT_LOAD = 1;
const PT_INTERP = 3;

function elf64(types: readonly number[]): Uint8Array {
  const file = new Uint8Array(64 + 56 * types.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, types.length, true);
  types.forEach((type, index) => view.setUint32(64 + 56 * index, type, true));
  return file;
}

test('isStaticElf() is true without a program interpreter and false with one', () => {
  assert.equal(isStaticElf(elf64([PT_LOAD, PT_LOAD])), true);
  assert.equal(isStaticElf(elf64([PT_LOAD, PT_INTERP])), false);
});

test(
  'isStaticElf() is false for what is no program, and for a dynamic one such as this Node',
  { skip: process.platform !== 'linux' },
  () => {
    assert.equal(isStaticElf(Buffer.from('#!/bin/sh\n')), false);
    assert.equal(isStaticElf(readFileSync(process.execPath).subarray(0, 4096)), false);
  },
);
