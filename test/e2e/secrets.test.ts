/** Secrets with the real programs and a real engine: what a container sees, a change, a rotation, a deletion. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { fetchPage, nodeInState, projectInPhase } from '../support/programs/seen.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';

const HOST = testEngine();
const PASSWORD = 'correct horse\nbattery="stäple"';
const DEEP = `/srv/${'deep-folder/'.repeat(12)}schlüssel`;

/** Serves what it was given: its environment and its files, with their modes, as another user than root. */
function manifestOf(hostPort: number): string {
  const shell = [
    'mkdir -p /tmp/www && cd /tmp/www',
    'env | grep -E "^(DB_|PASSWORD)" > env.txt',
    `cat /etc/app/password > password.txt`,
    `cat ${DEEP} > deep.txt`,
    'cat /etc/app/app.conf > conf.txt',
    'stat -c "%a %u" /etc/app /etc/app/password /etc/app/app.conf /etc/app/private > modes.txt',
    '(cat /etc/app/private > private.txt) || echo refused > private.txt',
    'httpd -f -p 8080 -h /tmp/www',
  ].join('; ');
  return JSON.stringify({
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: 'vault' },
    spec: {
      services: [
        {
          name: 'web',
          image: IMAGES.v1.tag,
          entrypoint: ['/bin/sh', '-c'],
          command: [shell],
          ports: [{ containerPort: 8080, hostPort }],
          env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }],
          envFrom: [{ secretRef: { name: 'db' }, prefix: 'DB_' }],
          files: [
            { mountPath: '/etc/app/password', secretKeyRef: { name: 'db', key: 'password' } },
            { mountPath: '/etc/app/private', mode: '0400', content: 'for root' },
            { mountPath: '/etc/app/app.conf', content: 'level: 1\n' },
            { mountPath: DEEP, secretKeyRef: { name: 'db', key: 'user' } },
          ],
          stopGracePeriod: '1s',
        },
      ],
    },
  });
}

test('a container gets values and files of a Secret, a change rolls it, a rotation and a deletion do not', async () => {
  using scratch = makeScratch();
  const hostPort = await findFreePort(8100, '0.0.0.0');
  const page = async (name: string): Promise<string> => await fetchPage(`http://127.0.0.1:${hostPort}/${name}.txt`);
  const idOf = async (): Promise<string | undefined> => (await contentsOf(HOST)).containers['cara_vault_web'];
  const port = await findFreePort(8200, '127.0.0.1');
  const dataDir = path.join(scratch.path, 'server');
  const settings = { dataDir, env: { PORT: String(port) } };
  let server = await startServer(settings);
  await using agent = await startAgent({ serverUrl: server.url, engineHost: HOST, nodeName: 'worker-01' });
  const ctl = async (args: readonly string[], input?: string) => {
    const result = await caractrl(args, { server: server.url, ...(input !== undefined && { input }) });
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`);
    return result;
  };
  try {
    await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
    await ctl(['create', 'secret', 'generic', 'db', '--from-file=password=-', '--from-literal=user=app'], PASSWORD);
    await ctl(['apply', '-f', '-'], manifestOf(hostPort));
    await projectInPhase(server.url, { name: 'vault', phase: 'Running' });
    assert.equal(await page('password'), PASSWORD);
    assert.equal(await page('conf'), 'level: 1\n');
    assert.equal(await page('deep'), 'app');
    assert.equal(await page('private'), 'for root', 'this image runs as root');
    assert.equal(await page('modes'), '755 0\n444 0\n444 0\n400 0\n');
    assert.match(await page('env'), /^PASSWORD=correct horse$/mu);
    assert.match(await page('env'), /^DB_user=app$/mu);

    const first = await idOf();
    await ctl(['apply', '-f', '-'], JSON.stringify(secretOf({ password: 'new', user: 'app' })));
    await until(async () => (await page('password').catch(() => '')) === 'new', { what: 'the new password', timeoutMs: 60_000 });
    const second = await idOf();
    assert.notEqual(second, first);
    await projectInPhase(server.url, { name: 'vault', phase: 'Running' });

    // The server's key is rotated while it is stopped; nothing that runs notices.
    await server.stop();
    const bin = path.join(import.meta.dirname, '../../bin/cara-server');
    const env = { ...process.env, DATA_DIR: dataDir, LOG_FORMAT: 'json' };
    const keyBefore = readFileSync(path.join(dataDir, 'secret.key'), 'utf8');
    assert.match(execFileSync(bin, ['rotate-secrets-key'], { env, encoding: 'utf8' }), /^1 Secret encrypted anew under key/u);
    assert.notEqual(readFileSync(path.join(dataDir, 'secret.key'), 'utf8'), keyBefore);
    server = await startServer(settings);
    await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });
    assert.match((await ctl(['describe', 'secret', 'db', '--reveal'])).stdout, /password: +new\n/u);
    assert.equal(await idOf(), second);

    await agent.logged('assignment watch recovered'); // until then it goes by what it was told, and the values it has
    const deleted = await ctl(['delete', 'secret', 'db']);
    assert.match(deleted.stderr, /still used by vault/u);
    await callEngineJson({ host: HOST, method: 'POST', path: `/containers/${second}/restart?t=0` });
    await until(async () => (await page('password').catch(() => '')) === 'new', {
      what: 'it to be back after a restart',
      timeoutMs: 60_000,
    });
    assert.equal(await idOf(), second);
    await callEngineJson({ host: HOST, method: 'DELETE', path: `/containers/${second}?force=1` });
    const failed = await projectInPhase(server.url, { name: 'vault', phase: 'Failed' });
    assert.equal(failed.status['reason'], 'SecretNotFound');
    await ctl(['apply', '-f', '-'], JSON.stringify(secretOf({ password: 'back', user: 'app' })));
    await projectInPhase(server.url, { name: 'vault', phase: 'Running' });
    assert.equal(await page('password'), 'back');
  } finally {
    await caractrl(['delete', 'project', 'vault'], { server: server.url });
    await server[Symbol.asyncDispose]();
  }
  assert.deepEqual(await contentsOf(HOST), { containers: {}, networks: [], volumes: [] });
  assert.equal(await agent.stop(), 0);
});

function secretOf(stringData: Readonly<Record<string, string>>): object {
  return { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name: 'db' }, stringData };
}
