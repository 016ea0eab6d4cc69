/** The quickstart as it runs without a terminal, on the tests' engine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { run } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, testEngine } from '../support/engines/engine.ts';
import { makeScratch } from '../support/scratch.ts';

const SCRIPT = path.join(import.meta.dirname, '../../scripts/quickstart.ts');
const NOTHING = { containers: {}, networks: [], volumes: [] };

const scratch = makeScratch();
after(() => scratch[Symbol.dispose]());

const dir = path.join(scratch.path, 'qs');
const args = ['--disable-warning=ExperimentalWarning', SCRIPT, '--once', '--dir', dir];
mkdirSync(path.join(dir, 'cache'), { recursive: true });
copyFileSync(process.env['CARA_TEST_BUSYBOX'] ?? '/bin/busybox', path.join(dir, 'cache/busybox')); // no network here to fetch it
const env = { ...process.env, DOCKER_HOST: testEngine() };

test('quickstart --once shows the page, nodes and projects, and leaves nothing', async () => {
  const { code, stdout, stderr } = await run(process.execPath, args, { env, timeoutMs: 120_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /Pending[\s\S]*Scheduled[\s\S]*Running/u);
  assert.match(stdout, /│ Welcome, traveller/u);
  assert.match(stdout, /\$ caractrl get nodes\nNAME +STATE[^\n]*\n\S+ +Ready +Healthy/u);
  assert.match(stdout, /\$ caractrl get projects\nNAME +PHASE[^\n]*\nhello +Running/u);
  assert.deepEqual(await contentsOf(testEngine()), NOTHING);
});

test('quickstart cleans up after one that was killed', async () => {
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
  const containers = async (): Promise<boolean> => Object.keys((await contentsOf(testEngine())).containers).length > 0;
  await until(containers, { what: 'a container of the first run', timeoutMs: 60_000 });
  child.kill('SIGKILL');
  const state = JSON.parse(readFileSync(path.join(dir, 'state.json'), 'utf8')) as { programs: { pid: number }[] };
  assert.equal(state.programs.length, 2);

  const { code, stdout, stderr } = await run(process.execPath, args, { env, timeoutMs: 120_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /Cleaning up after a run that was killed/u);
  assert.deepEqual(
    state.programs.filter(({ pid }) => existsSync(`/proc/${pid}`)),
    [],
  );
  assert.deepEqual(await contentsOf(testEngine()), NOTHING);
});
