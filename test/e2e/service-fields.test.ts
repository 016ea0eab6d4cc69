/** The options of a service with the real programs and a real engine: what one container with all of them sees, and what an operator refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { caractrl, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { fetchPage, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const HOST = testEngine();

/** Writes what it sees to /run/www, which is memory, and serves that; ends on SIGINT alone, with code 42. */
const LOOK = [
  'trap "exit 42" INT; trap "" TERM',
  'here=$PWD; mkdir -p /run/www; cd /run/www',
  'echo $here > here.txt',
  '(cat /proc/1/cmdline | tr "\\0" " "; echo) > init.txt',
  'id -u > user.txt; id -g >> user.txt',
  'hostname > hostname.txt',
  'grep printer /etc/hosts > hosts.txt',
  'grep CapBnd /proc/self/status > caps.txt',
  '(touch /probe && echo writable || echo refused) > root.txt 2> /dev/null',
  'grep -E " (/run|/dev/shm) " /proc/mounts > mounts.txt',
  '(ulimit -Sn; ulimit -Hn) > ulimits.txt',
  'cat /proc/sys/net/ipv4/ip_unprivileged_port_start > sysctl.txt',
  'seen=no; [ -t 1 ] && seen=yes; echo $seen > tty.txt',
  'httpd -p 80 -h /run/www',
  'while true; do sleep 1 & wait $!; done',
].join('\n');

const OPTIONS = {
  user: '1000:1000',
  workingDir: '/srv',
  hostname: 'shopfront',
  aliases: ['www'],
  extraHosts: ['printer:192.168.1.20'],
  capDrop: ['ALL'],
  capAdd: ['NET_ADMIN'],
  readOnly: true,
  tmpfs: [{ mountPath: '/run', size: '1Mi', mode: '1777' }],
  shmSize: '2Mi',
  ulimits: { nofile: { soft: 100, hard: 200 } },
  sysctls: { 'net.ipv4.ip_unprivileged_port_start': 80 },
  init: true,
  tty: true,
  stopSignal: 'SIGINT',
  logging: { maxSize: '1Mi', maxFiles: 2 },
  labels: { 'traefik.http.routers.web.rule': 'Host(`shop.example`)' },
};

const FINDS_WWW = { test: ['CMD-SHELL', 'wget -q -O /dev/null http://www/tty.txt'], interval: '1s', retries: 30 };

function manifestOf(services: readonly object[]): string {
  const project = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'options' }, spec: { services } };
  return JSON.stringify(project);
}

interface Inspected {
  readonly State: { readonly ExitCode: number };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  readonly HostConfig: { readonly LogConfig: unknown; readonly Privileged: boolean; readonly CapAdd: readonly string[] };
}

const inspect = async (id: string): Promise<Inspected> =>
  (await callEngineJson({ host: HOST, path: `/containers/${id}/json` })) as Inspected;

test('a container with every option of a service sees each of them, and privileged needs the operator', { timeout: 180_000 }, async () => {
  using scratch = makeScratch(); // the agent that allows more is the same node, with its identity
  const hostPort = await findFreePort(8300, '0.0.0.0');
  const page = async (name: string): Promise<string> => await fetchPage(`http://127.0.0.1:${hostPort}/${name}.txt`);
  const idOf = async (service: string): Promise<string> =>
    (await contentsOf(HOST)).containers[`cara_options_${service}`] ?? assert.fail(`no container of ${service}`);
  await using server = await startServer();
  const apply = async (services: readonly object[]) =>
    await caractrl(['apply', '-f', '-'], { server: server.url, input: manifestOf(services) });
  const worker = { serverUrl: server.url, engineHost: HOST, nodeName: 'worker-01', dataDir: scratch.path };
  const shell = { image: IMAGES.v1.tag, entrypoint: ['/bin/sh', '-c'], stopGracePeriod: '5s' };
  const web = { name: 'web', ...shell, command: [LOOK], ports: [{ containerPort: 80, hostPort }], ...OPTIONS };
  const other = { name: 'other', ...shell, command: ['sleep 600'], stopGracePeriod: '1s', healthCheck: FINDS_WWW };
  try {
    {
      await using agent = await startAgent(worker);
      await nodeInState(server.url, { name: 'worker-01', state: 'Ready' });

      const refused = await apply([{ ...web, files: [{ mountPath: '/etc/a', content: 'x' }] }]);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /readOnly does not go with files/u);
      const foreign = await apply([{ ...web, labels: { 'caravanserai.io/project': 'other' } }]);
      assert.match(foreign.stderr, /must not start with caravanserai\.io\//u);

      assert.equal((await apply([web, other])).code, 0);
      await projectInPhase(server.url, { name: 'options', phase: 'Running' });
      await until(async () => (await page('tty').catch(() => '')) !== '', { what: 'the container to serve', timeoutMs: 60_000 });
      assert.match(await page('init'), /^\/sbin\/docker-init -- \/bin\/sh/u);
      assert.equal(await page('here'), '/srv\n');
      assert.equal(await page('user'), '1000\n1000\n');
      assert.equal(await page('hostname'), 'shopfront\n');
      assert.match(await page('hosts'), /^192\.168\.1\.20\s+printer\n$/u);
      assert.match(await page('caps'), /^CapBnd:\s0000000000001000\n$/u, 'NET_ADMIN alone');
      assert.match(await page('root'), /refused/u);
      assert.match(await page('mounts'), /\/run tmpfs \S*size=1024k/u);
      assert.match(await page('mounts'), /\/dev\/shm tmpfs \S*size=2048k/u);
      assert.equal(await page('ulimits'), '100\n200\n');
      assert.equal(await page('sysctl'), '80\n');
      assert.equal(await page('tty'), 'yes\n');

      const shown = await inspect(await idOf('web'));
      assert.equal(shown.Config.Labels['traefik.http.routers.web.rule'], 'Host(`shop.example`)');
      assert.deepEqual(shown.HostConfig.LogConfig, { Type: 'json-file', Config: { 'max-size': '1048576', 'max-file': '2' } });

      const before = await idOf('other');
      const described = await caractrl(['describe', 'project', 'options'], { server: server.url });
      assert.match(described.stdout, /read-only root file system/u);

      // The stop signal: without it, the shell would be killed after its grace and end with 137.
      const id = await idOf('web');
      await callEngineJson({ host: HOST, method: 'POST', path: `/containers/${id}/stop` });
      assert.equal((await inspect(id)).State.ExitCode, 42);
      await projectInPhase(server.url, { name: 'options', phase: 'Running' });

      // One option more replaces that service and no other; what is privileged is refused, and what runs runs on.
      assert.equal((await apply([{ ...web, labels: { team: 'a' } }, other])).code, 0);
      await until(async () => (await inspect(await idOf('web'))).Config.Labels['team'] === 'a', {
        what: 'the new label',
        timeoutMs: 60_000,
      });
      await projectInPhase(server.url, { name: 'options', phase: 'Running' });
      assert.equal(await idOf('other'), before);

      assert.equal((await apply([other, { ...web, privileged: true, capAdd: ['SYS_ADMIN'] }])).code, 0);
      const failed = await projectInPhase(server.url, { name: 'options', phase: 'Failed' });
      assert.equal(failed.status['reason'], 'PrivilegedNotAllowed');
      assert.match(
        String(failed.status['message']),
        /node "worker-01" does not allow privileged: true and capAdd: \[SYS_ADMIN\]: set ALLOW_PRIVILEGED=true/u,
      );
      assert.equal(await agent.stop(), 0);
    }
    await using allowing = await startAgent({ ...worker, env: { ALLOW_PRIVILEGED: 'true' } });
    await projectInPhase(server.url, { name: 'options', phase: 'Running' });
    assert.equal((await inspect(await idOf('web'))).HostConfig.Privileged, true);
    await caractrl(['delete', 'project', 'options'], { server: server.url });
    assert.deepEqual(await contentsOf(HOST), { containers: {}, networks: [], volumes: [] });
    assert.equal(await allowing.stop(), 0);
  } finally {
    for (const id of Object.values((await contentsOf(HOST, 'cara_options_')).containers)) {
      await callEngineJson({ host: HOST, method: 'DELETE', path: `/containers/${id}?force=1` });
    }
  }
});
