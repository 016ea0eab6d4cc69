/** `caractrl exec` as a person types it, on a pseudo-terminal and in pipes, to a node that the server can dial and to one behind NAT. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { IMAGES } from '../support/engines/engine.ts';
import { startTerminal, type Terminal } from '../support/programs/terminal.ts';
import { startTwoSites, type Site, type TwoSites } from '../support/programs/two-sites.ts';

const CTL = path.join(import.meta.dirname, '../../bin/caractrl');
const LONG_MS = 60_000;
const SITES = ['near', 'far'] as const;
const SHELL = ['/bin/busybox', 'sh', '-c'];

let sites: TwoSites;

before(async () => {
  sites = await startTwoSites();
  const web = { name: 'web', image: IMAGES.v1.tag, entrypoint: SHELL, command: ['exec /bin/busybox sleep 1d'], stopGracePeriod: '0s' };
  await Promise.all([sites.apply('reach-near', 'near', [web]), sites.apply('reach-far', 'far', [web])]);
});

after(async () => {
  await sites[Symbol.asyncDispose]();
});

async function terminal(site: Site, ...command: readonly string[]): Promise<Terminal> {
  const argv = [CTL, 'exec', '-it', `reach-${site}/web`, '--', ...command];
  return await startTerminal(argv, { columns: 91, rows: 23, env: { CARA_SERVER: sites.url } });
}

/** The command lines of what runs in the service. */
async function processes(site: Site): Promise<string> {
  const { code, stdout, stderr } = await sites.ctl(['exec', `reach-${site}/web`, '--', '/bin/busybox', 'ps', '-o', 'args']);
  assert.equal(code, 0, stderr);
  return stdout;
}

for (const site of SITES) {
  test(`exec -it gives a shell on the ${site} node: its size and that of the next window, Ctrl-C, Ctrl-D, the exit code`, async () => {
    await using shell = await terminal(site, 'sh');
    await shell.shows(/# /u);
    shell.type('/bin/busybox stty size\r');
    await shell.shows(/\n23 91\r\n/u);
    await shell.resize(120, 40);
    const showsSize = (): boolean => {
      shell.type('/bin/busybox stty size\r'); // again: what is typed just when the size changes, the shell may drop
      return shell.screen().includes('\n40 120\r\n');
    };
    await until(showsSize, { what: 'the other size', timeoutMs: LONG_MS, intervalMs: 300 });
    shell.type('echo begun; /bin/busybox sleep 1000\r');
    await shell.shows(/\nbegun\r\n/u);
    shell.type('\x03');
    await shell.shows(/# /u);
    shell.type('echo "ended $?"\r');
    await shell.shows(/\nended 130\r\n/u);
    shell.type('echo catching; /bin/busybox cat\r');
    await shell.shows(/\ncatching\r\n/u);
    shell.type('ü 漢字\r\x04');
    await shell.shows(/ü 漢字\r\nü 漢字\r\n/u);
    shell.type('exit 42\r');
    assert.equal(await shell.exitCode(), 42);
  });

  test(`exec leaves a command on the ${site} node running when the keys for that are typed, and ends it when its terminal goes`, async () => {
    await using left = await terminal(site, 'sh', '-c', 'echo ready; exec /bin/busybox sleep 4321');
    await left.shows(/ready/u);
    left.type('\x10\x11');
    await left.shows(/sh runs on in reach-/u);
    assert.equal(await left.exitCode(), 0);
    assert.match(await processes(site), /sleep 4321/u);

    await using ended = await terminal(site, 'sh', '-c', 'echo ready; exec /bin/busybox sleep 8765');
    await ended.shows(/ready/u);
    assert.match(await processes(site), /sleep 8765/u);
    ended.kill();
    await until(async () => !(await processes(site)).includes('sleep 8765'), { what: 'what was left to end', timeoutMs: LONG_MS });
    assert.match(await processes(site), /sleep 4321/u);
  });

  test(`exec -i pipes 5 MB of noise to the ${site} node and back without a change`, async () => {
    const line = `head -c 5000000 /dev/urandom > noise && "$CTL" exec -i reach-${site}/web -- /bin/busybox cat < noise > back && cmp noise back`;
    const { code, stderr } = await run('sh', ['-c', line], {
      cwd: sites.folder,
      env: { ...process.env, CTL, CARA_SERVER: sites.url },
      timeoutMs: LONG_MS,
    });
    assert.deepEqual([code, stderr], [0, '']);
  });
}

test('exec says what is not in the image, and what does not run', async () => {
  const refusal = async (...args: readonly string[]): Promise<string> => {
    const { code, stderr } = await sites.ctl(['exec', ...args]);
    return `${code} ${stderr.trim()}`;
  };
  assert.equal(
    await refusal('reach-far/web', '--', 'bash'),
    '127 error: Cannot run bash in reach-far/web as there is no such program bash in the image: name one that is there',
  );
  assert.match(await refusal('reach-far/web', '--', '/srv'), /^126 error: Cannot run \/srv in reach-far\/web as /u);
});

for (const [what, act] of [
  ['agent is killed', async () => await sites.agent('far').kill()],
  ['server is killed', async () => await sites.restartServer()],
] as const) {
  test(`exec gives the screen back and says so when the ${what}, and the next command waits until there is a way again`, async () => {
    await using shell = await terminal('far', 'sh');
    await shell.shows(/# /u);
    await using other = await terminal('far', 'sh', '-c', 'echo ready; exec /bin/busybox sleep 2468');
    await other.shows(/ready/u);
    await act();
    await shell.shows(/error: Cannot tell how the command in reach-far\/web has ended: /u);
    assert.equal(await shell.exitCode(), 1);
    if (what.startsWith('agent')) {
      await sites.restartAgent('far');
    }
    const { code, stdout, stderr } = await sites.ctl(['exec', 'reach-far/web', '--', '/bin/busybox', 'echo', 'back']);
    assert.deepEqual([code, stdout, stderr], [0, 'back\n', '']);
    await until(async () => !(await processes('far')).includes('sleep 2468'), { what: 'what was left to end', timeoutMs: LONG_MS });
    assert.match(await processes('far'), /sleep 4321/u, 'what was left on purpose was ended too');
  });
}
