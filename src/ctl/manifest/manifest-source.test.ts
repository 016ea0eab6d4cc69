import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MAX_FILE_BYTES, readSources } from './manifest-source.ts';

describe('readSources()', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'manifests-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const read = async (path: string, options: { readonly isRecursive?: boolean; readonly stdin?: string } = {}) =>
    readSources(
      [path],
      { isRecursive: options.isRecursive ?? false, io: { readStdin: async () => Buffer.from(options.stdin ?? '') } },
      new AbortController().signal,
    );
  const write = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  test('reads the manifests of a folder by name, and of its folders only when asked', async () => {
    mkdirSync(join(folder, 'set/deeper'), { recursive: true });
    for (const name of ['b.yaml', 'a.yml', 'c.JSON', 'notes.txt', 'deeper/d.yaml']) {
      write(`set/${name}`, name);
    }
    const texts = async (isRecursive: boolean) => (await read(join(folder, 'set'), { isRecursive })).map(({ text }) => text);
    assert.deepEqual(await texts(false), ['a.yml', 'b.yaml', 'c.JSON']);
    assert.deepEqual(await texts(true), ['a.yml', 'b.yaml', 'c.JSON', 'deeper/d.yaml']);
  });

  test('reads standard input and drops a byte order mark', async () => {
    assert.deepEqual(await read('-', { stdin: '\uFEFFkind: Node' }), [{ file: '<stdin>', text: 'kind: Node' }]);
  });

  test('refuses what is too large before it is parsed, to the byte', async () => {
    assert.equal((await read(write('just.yaml', 'x'.repeat(MAX_FILE_BYTES)))).length, 1);
    await assert.rejects(
      read(write('over.yaml', 'x'.repeat(MAX_FILE_BYTES + 1))),
      /as a manifest file may have at most 1 MiB: it has 1048577 bytes, 1 too many/u,
    );
    await assert.rejects(
      read('-', { stdin: 'x'.repeat(MAX_FILE_BYTES + 1) }),
      /Cannot read <stdin> as a manifest file may have at most 1 MiB/u,
    );
  });

  test('refuses what is no text, no file, and a folder without manifests', async () => {
    await assert.rejects(read(write('bin.yaml', new Uint8Array([0x7f, 0x45, 0, 0xff]))), /as it is no text file/u);
    await assert.rejects(read(write('nul.yaml', 'a: \0')), /as it is no text file/u);
    await assert.rejects(read(write('wide.yaml', new Uint8Array([0xff, 0xfe, 0x61, 0]))), /as it is UTF-16: save it as UTF-8/u);
    await assert.rejects(read(join(folder, 'none.yaml')), /as there is no such file or folder/u);
    mkdirSync(join(folder, 'empty'));
    await assert.rejects(read(join(folder, 'empty')), /Cannot find a manifest in the folder/u);
  });
});
