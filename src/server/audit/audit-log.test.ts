import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync, chmodSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { createAuditFile, createAuditMemory, type AuditSink } from './audit-file.ts';
import { createAuditLog, type AuditRecord } from './audit-log.ts';

function entry(number: number, rest: Partial<AuditRecord> = {}): AuditRecord {
  return {
    who: 'ann',
    verb: 'update',
    request: 'PATCH /x',
    outcome: 'Done',
    status: 200,
    requestId: `r${number}`,
    from: '10.0.0.1',
    ...rest,
  };
}

test('the file is its owner’s alone, is appended to, and is rotated; the oldest of ten goes', async () => {
  using scratch = makeScratch();
  const file = path.join(scratch.path, 'audit.jsonl');
  writeFileSync(file, '{"half a li', { mode: 0o644 });
  chmodSync(file, 0o644);
  const clock = new VirtualClock();
  const log = createAuditLog({ sink: createAuditFile(file, 1000), clock, log: silentLog });
  for (let number = 0; number < 200; number += 1) {
    log.record(entry(number));
    await log.close();
  }
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const files = readdirSync(scratch.path);
  assert.equal(files.length, 10);
  const listed = (await log.list({})).map(({ requestId }) => requestId);
  assert.equal(listed.at(-1), 'r199');
  assert.deepEqual(
    listed,
    Array.from({ length: listed.length }, (_, index) => `r${200 - listed.length + index}`),
  );
  assert.ok(files.every((name) => readFileSync(path.join(scratch.path, name), 'utf8').length < 1300));
});

test('list() finds by who, object and time, the newest so many, and refuses a time that is none', async () => {
  const clock = new VirtualClock();
  const log = createAuditLog({ sink: createAuditMemory(), clock, log: silentLog });
  log.record(entry(1, { object: 'Project/a' }));
  await clock.advance(60_000);
  log.record(entry(2, { who: 'bob', object: 'Project/a' }));
  log.record(entry(3, { object: 'Project/b' }));
  const ids = async (query: Parameters<typeof log.list>[0]) => (await log.list(query)).map(({ requestId }) => requestId);
  assert.deepEqual(await ids({}), ['r1', 'r2', 'r3']);
  assert.deepEqual(await ids({ who: 'ann' }), ['r1', 'r3']);
  assert.deepEqual(await ids({ object: 'Project/a', since: '30s' }), ['r2']);
  assert.deepEqual(await ids({ limit: 1 }), ['r3']);
  await assert.rejects(log.list({ since: 'yesterday' }), { reason: 'Invalid' });
});

test('while nothing can be written, entries are kept up to a bound, and what was lost is counted in the first that is', async () => {
  const clock = new VirtualClock();
  const memory = createAuditMemory(100_000);
  let isFull = true;
  const sink: AuditSink = {
    ...memory,
    append: async (lines) => {
      if (isFull) {
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      }
      await memory.append(lines);
    },
  };
  const log = createAuditLog({ sink, clock, log: silentLog });
  const stopped = new AbortController();
  const running = log.run(stopped.signal).catch(() => undefined);
  for (let number = 0; number < 10_500; number += 1) {
    log.record(entry(number));
  }
  await clock.advance(5000);
  isFull = false;
  await clock.advance(2000);
  const entries = await log.list({ limit: 10_000 });
  assert.deepEqual([entries.length, entries[0]?.lost], [10_000, 500]);
  stopped.abort();
  await running;
});

test('refusals of one address are written down at a bounded rate, and the rest counted', async () => {
  const clock = new VirtualClock();
  const log = createAuditLog({ sink: createAuditMemory(), clock, log: silentLog });
  for (let number = 0; number < 150; number += 1) {
    log.record(entry(number, { outcome: 'Refused', status: 401 }));
  }
  log.record(entry(1000, { outcome: 'Refused', status: 401, from: '10.0.0.2' }));
  await clock.advance(1000);
  log.record(entry(1001, { outcome: 'Refused', status: 401 }));
  const entries = await log.list({});
  assert.deepEqual([entries.length, entries.at(-1)?.suppressed, entries.at(-2)?.suppressed], [102, 50, undefined]);
});
