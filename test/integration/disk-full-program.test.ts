/** cara-server on a file system that fills up (a small tmpfs), as root alone can make one. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { runOrThrow } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

interface Answer {
  readonly status: number;
  readonly detail: string;
}

async function call(url: string, method: string, route: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/api/${route}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, detail: answer.status >= 400 ? ((JSON.parse(text) as { detail?: string }).detail ?? '') : text };
}

const create = (url: string, name: string): Promise<Answer> =>
  call(url, 'POST', 'v1/nodes', {
    apiVersion: 'caravanserai/v1',
    kind: 'Node',
    metadata: { name, annotations: { filler: 'x'.repeat(20_000) } },
  });

/** The server writes meanwhile, so that there may be less room than was there a moment ago. */
function fillDisk(disk: string, filler: string): void {
  const { bavail, bsize } = statfsSync(disk);
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
}

test(
  'a full disk makes the server read-only and says so; nodes beat on, kill -9 and a start change nothing, and space mends it',
  { skip: process.getuid?.() !== 0 && 'mounting takes root' },
  async () => {
    using scratch = makeScratch();
    const disk = path.join(scratch.path, 'disk');
    mkdirSync(disk);
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk], { timeoutMs: 60_000 });
    try {
      const dataDir = path.join(disk, 'data');
      const filler = path.join(disk, 'filler');
      await using first = await startServer({ dataDir });
      assert.equal((await create(first.url, 'before')).status, 201);
      fillDisk(disk, filler);
      let refused: Answer | undefined;
      const acknowledged = ['before'];
      for (let count = 0; refused === undefined; count += 1) {
        const answer = await create(first.url, `n-${count}`);
        if (answer.status === 201) {
          acknowledged.push(`n-${count}`); // what the WAL had room for
        } else {
          refused = answer;
        }
      }
      assert.equal(refused.status, 503);
      assert.match(refused.detail, /^Cannot write to database .*cara\.db as the disk is full, free some space on it/u);
      const ready = await call(first.url, 'GET', 'readyz');
      assert.deepEqual([ready.status, /the disk is full/u.test(ready.detail)], [503, true]);
      assert.equal((await call(first.url, 'GET', 'healthz')).status, 200);
      assert.equal((await call(first.url, 'POST', 'v1/nodes/before/heartbeat', {})).status, 204);
      assert.equal((await call(first.url, 'GET', 'v1/nodes/before')).status, 200);
      const names = async (url: string): Promise<readonly string[]> => {
        const { items } = JSON.parse((await call(url, 'GET', 'v1/nodes')).detail) as {
          readonly items: readonly { metadata: { name: string } }[];
        };
        return items.map(({ metadata }) => metadata.name);
      };
      assert.deepEqual(await names(first.url), acknowledged.toSorted());
      await first.kill();
      rmSync(filler);
      await using second = await startServer({ dataDir });
      assert.deepEqual(await names(second.url), acknowledged.toSorted(), 'what was acknowledged, and nothing else');

      fillDisk(disk, filler);
      await until(async () => (await create(second.url, `m-${Math.random()}`)).status === 503, { what: 'a refusal', timeoutMs: 60_000 });
      rmSync(filler);
      await until(async () => (await call(second.url, 'GET', 'readyz')).status === 200, {
        what: 'readyz to follow by itself',
        timeoutMs: 60_000,
      });
      assert.equal((await create(second.url, 'after')).status, 201);
    } finally {
      await runOrThrow('umount', ['-l', disk], { timeoutMs: 60_000 });
    }
  },
);
