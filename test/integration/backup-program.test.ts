/** `cara-server backup` and `restore` as an operator types them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { run, type RunResult } from '../../scripts/lib/run.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const CARA_SERVER = path.join(import.meta.dirname, '../../bin/cara-server');

test('a backup taken while the server runs brings everything back, and nothing in it is readable that was not before', async () => {
  using scratch = makeScratch();
  const dataDir = path.join(scratch.path, 'data');
  const file = path.join(scratch.path, 'fleet.backup.gz');
  const cara = async (...args: string[]): Promise<RunResult> =>
    await run(CARA_SERVER, args, { env: { ...process.env, DATA_DIR: dataDir }, timeoutMs: 60_000 });
  const post = async (url: string, plural: string, rest: object): Promise<number> => {
    const headers = { 'content-type': 'application/json' };
    return (
      await fetch(`${url}/api/v1/${plural}`, { method: 'POST', headers, body: JSON.stringify({ apiVersion: 'caravanserai/v1', ...rest }) })
    ).status;
  };
  const names = async (url: string): Promise<readonly string[]> =>
    ((await (await fetch(`${url}/api/v1/nodes`)).json()) as { readonly items: readonly NodeObject[] }).items.map(
      ({ metadata }) => metadata.name,
    );
  {
    await using server = await startServer({ dataDir });
    assert.equal(await post(server.url, 'nodes', { kind: 'Node', metadata: { name: 'kept' } }), 201);
    assert.equal(
      await post(server.url, 'secrets', { kind: 'Secret', metadata: { name: 's' }, stringData: { password: 'open sesame' } }),
      201,
    );
    const written = await cara('backup', file);
    assert.equal(written.code, 0, written.stderr);
    assert.match(
      written.stdout,
      /^State of \S+ at version \d+ with \d+ objects written to .*fleet\.backup\.gz \(\d+ KiB\) and read back\nSecrets in it are encrypted: .*secret\.key too/u,
    );
    assert.doesNotMatch(gunzipSync(readFileSync(file)).toString(), /open sesame|b3BlbiBzZXNhbWU/u);
    assert.match((await cara('backup', file)).stderr, /^error: Cannot write backup .* as there is a file of that name[^\n]*\n$/u);
    assert.match(
      (await cara('restore', file)).stderr,
      /^error: Cannot restore as the database must not be in use, stop the cara-server[^\n]*\n$/u,
    );
    assert.equal(await post(server.url, 'nodes', { kind: 'Node', metadata: { name: 'later' } }), 201);
    await server.stop();
  }
  assert.match(
    (await cara('restore', '/etc/hostname')).stderr,
    /^error: Cannot use backup \/etc\/hostname as it is no backup of cara-server[^\n]*\n$/u,
  );
  assert.match((await cara('restore')).stderr, /^error: Cannot restore without a file: cara-server restore FILE\n$/u);
  const unknown = await cara('bakcup', 'x');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^error: Cannot run "bakcup" as there is no such command: known are backup, restore, /u);
  const restored = await cara('restore', file);
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(
    restored.stdout,
    /restored from .*fleet\.backup\.gz\nWhat was there before is kept as .*cara\.db\.before-restore-\d{8}t\d{9}z\n/u,
  );
  assert.equal(readdirSync(dataDir).filter((name) => name.includes('before-restore')).length, 1);
  await using server = await startServer({ dataDir });
  assert.deepEqual(await names(server.url), ['kept']);
  const secret = (await (await fetch(`${server.url}/api/v1/secrets/s?reveal=true`)).json()) as { readonly data: object };
  assert.deepEqual(secret.data, { password: Buffer.from('open sesame').toString('base64') });
  const version = (await (await fetch(`${server.url}/api/v1/version`)).json()) as { readonly epoch?: { readonly id: string } };
  assert.ok(version.epoch?.id);
});
