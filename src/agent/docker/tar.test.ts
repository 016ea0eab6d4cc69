import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTar } from '../../../test/support/engines/fake-docker/tar.ts';
import { toTar } from './tar.ts';

const anyPath = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 8 })
  .map((parts) => `/${parts.map((part) => part.replaceAll(/[/\0\n]/gu, '_')).join('/')}`);

test('toTar() writes files that read back with their path, mode and content, and belong to root', () => {
  const anyFile = fc.record({ path: anyPath, mode: fc.constantFrom(0o400, 0o440, 0o444), content: fc.uint8Array({ maxLength: 2000 }) });
  fc.assert(
    fc.property(fc.array(anyFile, { maxLength: 5 }), (files) => {
      const archive = toTar(files);
      assert.equal(archive.length % 512, 0);
      assert.deepEqual(
        readTar(archive),
        files.map(({ path, mode, content }) => ({ path: path.slice(1), mode, uid: 0, content: Buffer.from(content) })),
      );
    }),
  );
});

test('toTar() counts the digits of a length that one more digit makes longer', () => {
  for (let length = 80; length < 1010; length += 1) {
    const path = `/${'p'.repeat(length)}`;
    assert.equal(readTar(toTar([{ path, mode: 0o444, content: Buffer.from('x') }]))[0]?.path, path.slice(1), `${length}`);
  }
});

test('toTar() gives the same bytes for the same files', () => {
  const files = [{ path: '/etc/app', mode: 0o444, content: Buffer.from('x') }];
  assert.deepEqual(toTar(files), toTar(files));
});
