import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { run, type RunResult } from '../../scripts/lib/run.ts';
import { systemClock } from '../../src/base/clock.ts';
import { startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const CARA_SERVER = path.join(import.meta.dirname, '../../bin/cara-server');

/** Runs cara-server to its end, which comes by itself. */
async function runServer(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<RunResult> {
  using scratch = makeScratch();
  const defaults = { DATA_DIR: path.join(scratch.path, 'data'), PORT: '0', LOG_FORMAT: 'json' };
  return run(CARA_SERVER, args, { env: { ...process.env, ...defaults, ...env }, timeoutMs: 60_000 });
}

describe('cara-server', () => {
  test('what it cannot start with is one line that names key, value and form, and exit code 1', async () => {
    using scratch = makeScratch();
    const noDatabase = path.join(scratch.path, 'no.db');
    writeFileSync(noDatabase, 'this is no database, however long one looks at it; '.repeat(100));
    const badYaml = path.join(scratch.path, 'bad.yaml');
    writeFileSync(badYaml, 'port: 99999\n');
    const refused: readonly (readonly [readonly string[], NodeJS.ProcessEnv, RegExp])[] = [
      [['--port', '99999'], {}, /--port .*0 to 65535.*"99999"/u],
      [['--banana'], {}, /--banana.*--help/u],
      [['--config', badYaml], { PORT: '' }, /port in .*bad\.yaml.*"99999"/u],
      [[], { NODE_HEARTBEAT_TIMEOUT: '90' }, /NODE_HEARTBEAT_TIMEOUT.*90s.*"90"/u],
      [[], { NODE_HEARTBEAT_TIMEOUT: '1s' }, /NODE_HEARTBEAT_TIMEOUT.*at least 2s.*"1s"/u],
      [[], { AUTH: 'maybe' }, /AUTH.*auto, token, none.*"maybe"/u],
      [[], { ALLOWED_HOSTS: 'http://a' }, /ALLOWED_HOSTS.*host names.*"http:\/\/a"/u],
      [
        ['--approve'],
        { LOG_FORMAT: 'json', LOG_LEVEL: 'warn' },
        /wait for approval \(NODE_APPROVAL=required\).*reaches 127\.0\.0\.1; set AUTH=token/u,
      ],
      [['--node-approval', 'required'], { AUTH: 'none', LOG_LEVEL: 'warn' }, /asks for no credentials: AUTH is none; set AUTH=token/u],
      [['--approve=no'], {}, /--approve .*takes none.*--node-approval/u],
      [[], { HOST: '192.0.2.1', AUTH: 'none', TLS: 'off' }, /Cannot listen on 192\.0\.2\.1.*no such address/u],
      [[], { DATA_DIR: path.join(noDatabase, 'data') }, /data folder .*no\.db\/data as a part of the path is no folder: set DATA_DIR/u],
      [[], { DATA_DIR: '/proc/nowhere' }, /data folder \/proc\/nowhere as there is no such file or folder: set DATA_DIR/u],
      [[], { DATABASE_URL: 'banana' }, /DATABASE_URL/u],
      [[], { DATABASE_URL: `sqlite:${noDatabase}` }, /no\.db/u],
    ];
    await Promise.all(
      refused.map(async ([args, env, words]) => {
        const { code, stderr } = await runServer(args, env);
        assert.equal(code, 1, stderr);
        assert.match(stderr, words);
        assert.match(stderr, /^error: [^\n]+\n$/u);
      }),
    );
  });

  test('a busy port is told in one line', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const { code, stderr } = await runServer([], { PORT: String(port) });
    blocker.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^error: Cannot listen on 127\\.0\\.0\\.1:${port} as the port is in use: set PORT [^\\n]+\\n$`, 'u'));
  });

  test('--help, --version and --print-config say what they should, and start nothing', async () => {
    const [help, version, config] = await Promise.all([
      runServer(['--help']),
      runServer(['--version']),
      runServer(['--print-config', '--node-heartbeat-timeout', '2m', '--database-url', 'postgres://u:secret@db/cara']),
    ]);
    assert.match(help.stdout, /NODE_HEARTBEAT_TIMEOUT/u);
    assert.match(help.stdout, /--node-approval \(NODE_APPROVAL\), --approve for required\n.*caractrl node approve NAME/u);
    assert.match(version.stdout, /^cara-server \d+\.\d+\.\d+\n$/u);
    const printed = JSON.parse(config.stdout) as Record<string, unknown>;
    assert.deepEqual([printed['NODE_HEARTBEAT_TIMEOUT'], printed['HOST']], ['2m', '127.0.0.1']);
    assert.doesNotMatch(config.stdout, /secret/u);
    assert.deepEqual([help.code, version.code, config.code], [0, 0, 0]);
  });

  test('its data folder is for its user alone, and everything it keeps is in there', async () => {
    using scratch = makeScratch();
    const dataDir = mkdtempSync(path.join(scratch.path, 'open-'));
    await using server = await startServer({ dataDir });
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    assert.ok(readdirSync(dataDir).includes('cara.db'));
    assert.equal(server.log().find(({ msg }) => msg === 'server listening')?.['dataDir'], dataDir);
  });

  test('SIGTERM ends it with 0 within seconds, though watches are open, and what was answered is there at the next start', async () => {
    using scratch = makeScratch();
    const dataDir = path.join(scratch.path, 'data');
    const server = await startServer({ dataDir });
    const watch = await fetch(`${server.url}/api/v1/nodes?watch=true`);
    await fetch(`${server.url}/api/v1/nodes/worker-01/register`, { method: 'POST' });
    assert.equal((await fetch(`${server.url}/api/v1/nodes/worker-01/heartbeat`, { method: 'POST' })).status, 204);
    const startedMs = systemClock.monotonicMs();
    assert.equal(await server.stop(), 0);
    assert.ok(systemClock.monotonicMs() - startedMs < 2500);
    assert.match(await watch.text(), /"ADDED".*\n/u); // ended, not cut
    await using again = await startServer({ dataDir });
    const node = (await (await fetch(`${again.url}/api/v1/nodes/worker-01`)).json()) as { readonly status: { readonly state: string } };
    assert.equal(node.status.state, 'Ready'); // the heartbeat just before the stop was flushed
  });

  test('AUTH=none on a public address starts with a warning', async () => {
    await using server = await startServer({ env: { HOST: '0.0.0.0', AUTH: 'none', TLS: 'off' } });
    const warning = server.log().find(({ level }) => level === 40);
    assert.match(String(warning?.['msg']), /controls the fleet/u);
    assert.equal((await fetch(`${server.url}/api/healthz`)).status, 200);
  });
});
