/** Draining a node on two real engines in two network namespaces: what moves, what stays, and that nothing ever runs twice. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { callEngine, callEngineJson } from '../../scripts/lib/engine-http.ts';
import type { Engine } from '../../scripts/lib/engine.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { linkHosts } from '../support/network/host-link.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { fetchPage, findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const MANIFEST = readFileSync(path.join(import.meta.dirname, '../../examples/hello/project.yaml'), 'utf8');
const NEAR = '10.98.77.1'; // the test's namespace, with the server and worker-01
const FAR = '10.98.77.2'; // the namespace of worker-02
const KEEPER = `apiVersion: caravanserai/v1
kind: Project
metadata: { name: keeper }
spec:
  services:
    - name: web
      image: ${IMAGES.v1.tag}
      command: [web]
      stopGracePeriod: 1s
      volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, type: Managed }]
`;

/** Takes all of its grace to stop: whoever does not wait for that starts a second copy beside it. */
const STUBBORN = `apiVersion: caravanserai/v1
kind: Project
metadata: { name: stubborn }
spec:
  services:
    - name: web
      image: ${IMAGES.v1.tag}
      entrypoint: [/bin/busybox, sh, -c]
      command: ['trap "" TERM; while :; do /bin/busybox sleep 1; done']
      stopGracePeriod: 3s
`;

const scratch = makeScratch();
let far: Engine;
let serverPort = 0;
let hostPort = 0;

before(async () => {
  far = await startExtraEngine({ network: 'own', images: 'hello' });
  const link = `cd${process.pid}`;
  const netns = far.netns ?? assert.fail();
  await linkHosts({ link, netns, near: NEAR, far: FAR });
  serverPort = await findFreePort(9300, '0.0.0.0');
  hostPort = await findFreePort(8000, '0.0.0.0');
});

after(async () => {
  await far.stop();
  scratch[Symbol.dispose]();
});

/** The server, on an address that both namespaces reach; its data outlives it. */
async function serve(): Promise<Program> {
  const env = { HOST: '0.0.0.0', PORT: String(serverPort), AUTH: 'none', TLS: 'off' };
  return await startServer({ dataDir: path.join(scratch.path, 'server'), env });
}

async function join(name: 'worker-01' | 'worker-02'): Promise<Program> {
  const place = name === 'worker-01' ? { engineHost: testEngine() } : { engineHost: far.host, netns: far.netns ?? assert.fail() };
  const env = { HEARTBEAT_INTERVAL: '1s' };
  return await startAgent({
    serverUrl: `http://${NEAR}:${serverPort}`,
    nodeName: name,
    dataDir: path.join(scratch.path, name),
    env,
    ...place,
  });
}

const url = (): string => `http://127.0.0.1:${serverPort}`;

async function ctl(line: string, input?: string) {
  return await caractrl(line.split(' '), { server: url(), ...(input !== undefined && { input }) });
}

/** Nanoseconds since 1970 at which the engine last removed a container of the Project, by the engine's own events. */
async function lastRemoval(engineHost: string, project: string): Promise<number> {
  const filters = encodeURIComponent(JSON.stringify({ event: ['destroy'], label: [`caravanserai.io/project=${project}`] }));
  const seconds = Math.floor(Date.now() / 1000) + 1;
  const { text } = await callEngine({ host: engineHost, path: `/events?since=${seconds - 300}&until=${seconds}&filters=${filters}` });
  const events = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { timeNano: number });
  assert.ok(events.length > 0, `no removal in ${text}`);
  return Math.max(...events.map(({ timeNano }) => timeNano));
}

async function startOf(engineHost: string, container: string): Promise<number> {
  const { State: state } = (await callEngineJson({ host: engineHost, path: `/containers/${container}/json` })) as {
    State: { StartedAt: string };
  };
  return Date.parse(state.StartedAt) * 1e6;
}

test('drain moves what can move, only after it has stopped, leaves what cannot, and survives kill -9 of server and agent', async () => {
  await using first = await serve();
  await using one = await join('worker-01');
  await nodeInState(url(), { name: 'worker-01', state: 'Ready' });
  for (const manifest of [MANIFEST.replace('hostPort: 8000', `hostPort: ${hostPort}`), KEEPER, STUBBORN]) {
    const applied = await ctl('apply -f -', manifest);
    assert.equal(applied.code, 0, applied.stderr);
  }
  for (const name of ['hello', 'keeper', 'stubborn']) {
    await projectInPhase(url(), { name, phase: 'Running' });
  }
  await using two = await join('worker-02');
  await nodeInState(url(), { name: 'worker-02', state: 'Ready' });
  const kept = await contentsOf(testEngine(), 'cara_keeper');

  const planned = await ctl('drain worker-01 --dry-run');
  assert.match(planned.stdout, /^hello +Move +worker-02 .*\nkeeper +Keep +- .*Managed volume data stays on worker-01$/mu);
  const drained = await ctl('drain worker-01 --yes --timeout 60s');
  assert.equal(drained.code, 1, drained.stdout + drained.stderr);
  assert.match(drained.stdout, /^project\/hello moved to worker-02$/mu);
  assert.match(drained.stderr, /^ {2}keeper: the data of its Managed volume data stays on worker-01; .*\nhint: It stays cordoned;/mu);

  assert.match(drained.stdout, /^project\/stubborn moved to worker-02$/mu);

  await projectInPhase(url(), { name: 'hello', phase: 'Running' });
  await projectInPhase(url(), { name: 'stubborn', phase: 'Running' });
  assert.match(await fetchPage(`http://${FAR}:${hostPort}/`), new RegExp(IMAGES.v1.greeting, 'u'));
  assert.deepEqual(await contentsOf(testEngine(), 'cara_hello'), { containers: {}, networks: [], volumes: [] });
  assert.deepEqual(await contentsOf(testEngine(), 'cara_keeper'), kept, 'what stays is not touched');
  const startedNs = await startOf(far.host, 'cara_stubborn_web');
  assert.ok(startedNs > (await lastRemoval(testEngine(), 'stubborn')) - 1e6, 'none starts before the last is gone'); // it is told in ms

  assert.equal((await ctl('uncordon worker-01')).code, 0);
  const asked = await ctl('move hello --to worker-01 --wait=false');
  assert.equal(asked.code, 0, asked.stderr);
  await Promise.all([first.kill(), two.kill()]);
  await using again = await serve();
  await using twoAgain = await join('worker-02');
  await until(async () => (await findObject(url(), 'projects/hello'))?.status['nodeRef'] === 'worker-01', {
    what: 'hello on worker-01',
    timeoutMs: 60_000,
  });
  await projectInPhase(url(), { name: 'hello', phase: 'Running' });
  assert.match(await fetchPage(`http://127.0.0.1:${hostPort}/`), new RegExp(IMAGES.v1.greeting, 'u'));
  assert.deepEqual(await contentsOf(far.host, 'cara_hello'), { containers: {}, networks: [], volumes: [] });

  for (const name of ['hello', 'keeper', 'stubborn']) {
    assert.equal((await ctl(`delete project ${name}`)).code, 0);
  }
  await callEngineJson({ host: testEngine(), method: 'DELETE', path: '/volumes/cara_keeper_data' });
  assert.deepEqual([await one.stop(), await twoAgain.stop(), await again.stop()], [0, 0, 0]);
});
