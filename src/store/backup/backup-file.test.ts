import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { makeScratch } from '../../../test/support/scratch.ts';
import { draft } from '../../../test/support/stores/store-backends.ts';
import { hasReason } from '../../api/errors.ts';
import type { StoredObject } from '../store.ts';
import { compressed, readBackup, saveBackup } from './backup-file.ts';
import { writeLines } from './backup-format.ts';

const HEADER = { createdAt: '2027-01-01T00:00:00.000Z', serverVersion: '0.1.0', version: 7 };

function* documents(count: number): Generator<string> {
  for (let index = 0; index < count; index += 1) {
    yield JSON.stringify(draft(`thing-${index}`, index));
  }
}

async function refusalOf(path: string): Promise<string> {
  const error: unknown = await readBackup(path, () => undefined).then(
    () => assert.fail('it was taken'),
    (failure: unknown) => failure,
  );
  assert.ok(hasReason(error, 'Invalid'), String(error));
  return error.message;
}

describe('backup files', () => {
  it('come back as they were written, readable by their owner alone, and are no others beside them', async () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'a.backup.gz');
    const saved = await saveBackup(path, compressed(writeLines(HEADER, documents(3_000))));
    assert.deepEqual({ ...saved, bytes: 0 }, { ...HEADER, objects: 3_000, bytes: 0 });
    assert.equal(saved.bytes, statSync(path).size);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(scratch.path), ['a.backup.gz']);
    const names: string[] = [];
    await readBackup(path, (object: StoredObject) => void names.push(object.metadata.name));
    assert.deepEqual(
      names,
      Array.from({ length: 3_000 }, (_, index) => `thing-${index}`),
    );
  });

  it('never replace a file, and a stream that breaks off leaves none', async () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'a');
    writeFileSync(path, 'mine');
    await assert.rejects(saveBackup(path, compressed(writeLines(HEADER, []))), /as there is a file of that name/u);
    assert.equal(readFileSync(path, 'utf8'), 'mine');
    const whole = gzipSync([...writeLines(HEADER, documents(10))].join(''));
    await assert.rejects(saveBackup(join(scratch.path, 'b'), Readable.from([whole.subarray(0, whole.length / 2)])));
    await assert.rejects(saveBackup(join(scratch.path, 'c'), Readable.from([])));
    assert.deepEqual(readdirSync(scratch.path), ['a']);
  });

  it('are refused when cut short, changed, foreign or newer, and the refusal says which', async () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'a');
    const write = (text: string): void => writeFileSync(path, gzipSync(text));
    const lines = [...writeLines(HEADER, documents(10))].join('').split('\n').slice(0, -1);
    write(`${lines.slice(0, 5).join('\n')}\n`);
    assert.match(await refusalOf(path), /^Cannot use backup .*\/a as it is damaged, take another one: it is cut short$/u);
    write(`${lines.toSpliced(3, 1).join('\n')}\n`);
    assert.match(await refusalOf(path), /checksum: 9 of 10 objects are there$/u);
    write(`${lines.join('\n').replace('"value":5', '"value":6')}\n`);
    assert.match(await refusalOf(path), /checksum: 10 of 10 objects are there$/u);
    write(`${[...lines, lines[1]].join('\n')}\n`);
    assert.match(await refusalOf(path), /something follows/u);
    write('{"format":"something else"}\n');
    assert.match(await refusalOf(path), /as it is no backup of cara-server/u);
    write(`{"format":"caravanserai-backup","formatVersion":2,"createdAt":"x","serverVersion":"9","version":1}\n`);
    assert.match(await refusalOf(path), /newer version, upgrade cara-server: its format is 2, this build knows up to 1$/u);
    writeFileSync(path, 'no gzip at all');
    assert.match(await refusalOf(path), /as it is no backup of cara-server/u);
    writeFileSync(path, '');
    assert.match(await refusalOf(path), /damaged/u);
    await saveBackup(join(scratch.path, 'b'), compressed(writeLines(HEADER, documents(1_000))));
    truncateSync(join(scratch.path, 'b'), statSync(join(scratch.path, 'b')).size - 9);
    assert.match(await refusalOf(join(scratch.path, 'b')), /damaged/u);
  });

  it('say first what they are, to anybody who looks', () => {
    using scratch = makeScratch();
    const path = join(scratch.path, 'a');
    writeFileSync(path, gzipSync([...writeLines(HEADER, [])].join('')));
    const [first] = gunzipSync(readFileSync(path)).toString().split('\n');
    assert.deepEqual(JSON.parse(first ?? ''), { format: 'caravanserai-backup', formatVersion: 1, ...HEADER });
  });
});
