/** bin/: each launcher finds its own folder and a Node, or says what to do. The Node is a script that prints its arguments. And the quickstart, typed wrongly. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/lib/run.ts';
import { makeScratch } from '../support/scratch.ts';

const BIN = path.join(import.meta.dirname, '../../bin');
const SYSTEM_PATH = '/usr/bin:/bin';

/** A copy of bin/ in a folder whose name has a blank. */
function makeCopy(root: string): string {
  const copy = path.join(root, 'my copy');
  cpSync(BIN, path.join(copy, 'bin'), { recursive: true });
  return copy;
}

function writeFakeNode(file: string, version: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit; fi\nprintf '%s|' "${version}" "$@"\n`);
  chmodSync(file, 0o755);
}

/** what each program gets for its memory */
const HEAP_FLAGS: Readonly<Record<string, string>> = {
  'cara-agent': '--max-semi-space-size=1|--optimize-for-size|',
  'cara-server': '--max-semi-space-size=8|--heap-growing-percent=50|',
};

test('every launcher runs its main.ts with the Node of the packages, from any folder and through symbolic links', async () => {
  using scratch = makeScratch();
  const copy = makeCopy(scratch.path);
  writeFakeNode(path.join(copy, 'node_modules/.bin/node'), 'v26.0.0');
  const programs = readdirSync(path.join(copy, 'bin')).filter((name) => name !== 'lib');
  assert.deepEqual(programs.toSorted(), ['cara-agent', 'cara-server', 'caractrl']);
  for (const name of programs) {
    const link = path.join(scratch.path, `${name}-link`);
    symlinkSync(path.join('my copy/bin', name), link);
    const folderLink = path.join(scratch.path, `folder-of-${name}`);
    symlinkSync('my copy/bin', folderLink);
    const main = path.join(copy, 'src', name.replace(/^cara-/u, '').replace('caractrl', 'ctl'), 'main.ts');
    const expected = `v26.0.0|--disable-warning=ExperimentalWarning|${HEAP_FLAGS[name] ?? ''}${main}|get|a b|`;
    for (const [command, cwd] of [
      [path.join(copy, 'bin', name), '/'],
      [link, '/'],
      [path.join(folderLink, name), '/'],
      [`./${name}`, path.join(copy, 'bin')],
    ] as const) {
      const { stdout, stderr } = await run(command, ['get', 'a b'], { cwd, env: { PATH: SYSTEM_PATH, HOME: scratch.path } });
      assert.deepEqual({ stdout, stderr }, { stdout: expected, stderr: '' });
    }
  }
});

test('caractrl says nothing of its own on stderr where NO_COLOR and FORCE_COLOR are both set', async () => {
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '1' };
  const { code, stdout, stderr } = await run(path.join(BIN, 'caractrl'), ['--help'], { env });
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(!stdout.includes('\u001B'));
});

test('the quickstart typed wrongly starts nothing and ends with exit code 2', async () => {
  const script = path.join(import.meta.dirname, '../../scripts/quickstart.ts');
  const { code, stdout, stderr } = await run(process.execPath, [script, '--bogus'], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /error: Cannot read the command line at "--bogus": there are --once, --dir FOLDER and --help\n$/u);
});

test('a launcher takes the Node on PATH when it is new enough', async () => {
  using scratch = makeScratch();
  const copy = makeCopy(scratch.path);
  writeFakeNode(path.join(scratch.path, 'new/node'), 'v27.1.0');
  const { stdout } = await run(path.join(copy, 'bin/caractrl'), [], { env: { PATH: `${scratch.path}/new:${SYSTEM_PATH}` } });
  assert.match(stdout, /^v27\.1\.0\|/u);
});

test('a launcher without a Node that is new enough says how to get one', async () => {
  using scratch = makeScratch();
  const copy = makeCopy(scratch.path);
  writeFakeNode(path.join(scratch.path, 'old/node'), 'v18.20.0');
  const { code, stdout, stderr } = await run(path.join(copy, 'bin/caractrl'), [], { env: { PATH: `${scratch.path}/old:${SYSTEM_PATH}` } });
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(
    stderr,
    /^error: Cannot start as Node 26 or newer is not installed: found v18\.20\.0; .* npm --prefix ".*my copy" run setup\n$/u,
  );
});
