/** cara-agent as a process: how it starts, refuses to, and ends. No server and no engine are there. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run, type RunResult } from '../../scripts/lib/run.ts';
import { startAgent, type Program } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const BIN = path.join(import.meta.dirname, '../../bin/cara-agent');
const NOWHERE = { serverUrl: 'http://127.0.0.1:1', engineHost: 'unix:///nonexistent/docker.sock', nodeName: 'worker-01' };

const start = async (dataDir: string): Promise<Program> => await startAgent({ ...NOWHERE, dataDir });

async function runAgent(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunResult> {
  return await run(BIN, args, { env: { ...process.env, AGENT_PORT: '0', ...env }, timeoutMs: 60_000 });
}

describe('cara-agent', () => {
  it('cara-agent lives without server and engine, says what is missing, and ends on SIGTERM with exit code 0', async () => {
    using scratch = makeScratch();
    await using agent = await start(scratch.path);
    assert.equal(((await (await fetch(`${agent.url}/healthz`)).json()) as { standing: string }).standing, 'joining');
    const failing = await agent.logged('registration failing');
    assert.match(String(failing['detail']), /^Cannot reach the server at http:\/\/127\.0\.0\.1:1 as nothing listens there/u);
    const unavailable = await agent.logged('container engine unavailable');
    assert.match(String(unavailable['detail']), /is Docker running\?/u);
    assert.equal(await agent.stop(), 0);
    assert.ok(agent.log().some(({ msg }) => msg === 'agent stopped'));
  });

  it('cara-agent that was killed starts again on its folder as the same identity', async () => {
    using scratch = makeScratch();
    await using first = await start(scratch.path);
    const identity = (): string => readFileSync(path.join(scratch.path, 'identity.json'), 'utf8');
    const before = identity();
    await first.kill();
    await using second = await start(scratch.path);
    assert.notEqual(first.pid, second.pid);
    assert.equal(identity(), before);
  });

  it('cara-agent refuses a folder that another one uses, naming both', async () => {
    using scratch = makeScratch();
    await using first = await start(scratch.path);
    const { code, stderr } = await runAgent([], { DATA_DIR: scratch.path });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `error: Cannot start as another cara-agent uses ${scratch.path}: set DATA_DIR to another folder, or stop process ${first.pid}\n`,
    );
  });

  it('cara-agent refuses a busy port, naming the setting', async () => {
    using scratch = makeScratch();
    await using first = await start(path.join(scratch.path, 'a'));
    const { port } = new URL(first.url);
    const { code, stderr } = await runAgent([], { DATA_DIR: path.join(scratch.path, 'b'), AGENT_PORT: port });
    assert.deepEqual(
      [code, stderr],
      [1, `error: Cannot listen on 127.0.0.1:${port} as the port is in use: set AGENT_PORT to another one, or to 0 for a free one\n`],
    );
  });

  for (const [title, env, wanted] of [
    [
      'HEARTBEAT_INTERVAL=30',
      { HEARTBEAT_INTERVAL: '30' },
      /^error: Cannot use HEARTBEAT_INTERVAL as it must be a duration .*: current value is "30"\n$/u,
    ],
    ['an engine over SSH', { DOCKER_HOST: 'ssh://host' }, /^error: Cannot use DOCKER_HOST as .*: current value is "ssh:\/\/host"\n$/u],
    [
      'a folder that cannot be made',
      { DATA_DIR: '/proc/nowhere' },
      /^error: Cannot use \/proc\/nowhere as there is no such file or folder: set DATA_DIR to a folder that this user can write\n$/u,
    ],
    [
      'a configuration file that is not there',
      { CONFIG: '/nowhere.yaml' },
      /^error: Cannot read configuration file \/nowhere\.yaml as there is no such file or folder\n$/u,
    ],
    ['an identity that is damaged', {}, /^error: Cannot read identity file .*: restore it from a backup, or remove it .*\n$/u],
  ] as const) {
    it(`cara-agent refuses ${title} with one line and exit code 1`, async () => {
      using scratch = makeScratch();
      writeFileSync(path.join(scratch.path, 'identity.json'), 'garbage');
      const { code, stderr } = await runAgent([], { DATA_DIR: scratch.path, ...env });
      assert.equal(code, 1);
      assert.match(stderr, wanted);
    });
  }

  it('cara-agent --help names every setting, --version the version, --print-config what counts', async () => {
    assert.match((await runAgent(['--help'])).stdout, /--heartbeat-interval \(HEARTBEAT_INTERVAL\)/u);
    assert.match((await runAgent(['--version'])).stdout, /^cara-agent \d+\.\d+\.\d+\n$/u);
    using scratch = makeScratch();
    const file = path.join(scratch.path, 'agent.yaml');
    writeFileSync(file, 'nodeName: from-file\nheartbeatInterval: 10s\n');
    const { stdout } = await runAgent(['--print-config', '--config', file], { NODE_NAME: 'from-env' });
    const config = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([config['NODE_NAME'], config['HEARTBEAT_INTERVAL']], ['from-env', '10s']);
  });
});
