import assert from 'node:assert/strict';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { pino } from 'pino';
import { makeScratch } from '../../test/support/scratch.ts';
import { keepAllPrivate } from './private-files.ts';

it('keepAllPrivate() takes the rights of others from what is there, and says which it took', async () => {
  using scratch = makeScratch();
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const put = (name: string, mode: number): string => {
    const file = path.join(scratch.path, name);
    writeFileSync(file, 'x');
    chmodSync(file, mode);
    return file;
  };
  const open = put('open.key', 0o644);
  const kept = put('kept.key', 0o400);
  await keepAllPrivate(scratch.path, ['open.key', 'kept.key', 'none.key'], log);
  assert.deepEqual(
    [open, kept].map((file) => statSync(file).mode & 0o777),
    [0o600, 0o400],
  );
  assert.deepEqual(
    lines.map(({ path: file, was }) => [file, was]),
    [[open, '644']],
  );
});
