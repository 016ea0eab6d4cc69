/**
 * Promise 1 on two real engines in two network namespaces: the link to one is cut, and what is fenced there stops before it starts on the
 * other; also when its agent was killed, and when its engine hangs.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { callEngineJson } from '../../scripts/lib/engine-http.ts';
import type { Engine } from '../../scripts/lib/engine.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { linkHosts, setLink } from '../support/network/host-link.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NEAR = '10.98.78.1'; // the test's namespace, with the server and worker-01
const FAR = '10.98.78.2'; // the namespace of worker-02, which is cut off
const link = `cf${process.pid}`;
const NOTHING = { containers: {}, networks: [], volumes: [] };

/** Takes all of its grace to stop, so that it must be killed. */
function manifest(name: string, onNodeLost: string): string {
  return `apiVersion: caravanserai/v1
kind: Project
metadata: { name: ${name} }
spec:
  services:
    - name: web
      image: ${IMAGES.v1.tag}
      entrypoint: [/bin/busybox, sh, -c]
      command: ['trap "" TERM; while :; do /bin/busybox sleep 1; done']
      stopGracePeriod: 2s
  onNodeLost: ${onNodeLost}
`;
}
const FENCE = '{ action: Reschedule, after: 12s, fence: true }';
const NO_FENCE = '{ action: Reschedule, after: 5s }';

const scratch = makeScratch();
let far: Engine;
let serverPort = 0;
/** of the test that runs */
const programs: Program[] = [];

before(async () => {
  far = await startExtraEngine({ network: 'own', images: 'hello' });
  const netns = far.netns ?? assert.fail();
  await linkHosts({ link, netns, near: NEAR, far: FAR });
  serverPort = await findFreePort(9400, '0.0.0.0');
});

afterEach(async () => {
  await setLink(link, 'up');
  for (const program of programs.splice(0).toReversed()) {
    await program[Symbol.asyncDispose]();
  }
});

after(async () => {
  await far.stop();
  scratch[Symbol.dispose]();
});

const url = (): string => `http://127.0.0.1:${serverPort}`;

async function serve(name: string): Promise<Program> {
  const env = { HOST: '0.0.0.0', PORT: String(serverPort), AUTH: 'none', TLS: 'off', NODE_HEARTBEAT_TIMEOUT: '4s' };
  const server = await startServer({ dataDir: path.join(scratch.path, `${name}-server`), env });
  programs.push(server);
  return server;
}

async function join(run: string, name: 'worker-01' | 'worker-02'): Promise<Program> {
  const place = name === 'worker-01' ? { engineHost: testEngine() } : { engineHost: far.host, netns: far.netns ?? assert.fail() };
  const program = await startAgent({
    serverUrl: `http://${NEAR}:${serverPort}`,
    nodeName: name,
    dataDir: path.join(scratch.path, `${run}-${name}`),
    env: { HEARTBEAT_INTERVAL: '500ms' },
    ...place,
  });
  programs.push(program);
  await nodeInState(url(), { name, state: 'Ready' });
  return program;
}

/** Has the Projects running on worker-02, and worker-01 there to take them. @returns the agent of worker-02 */
async function runOnFar(run: string, projects: Readonly<Record<string, string>>): Promise<Program> {
  await serve(run);
  const two = await join(run, 'worker-02');
  for (const [name, onNodeLost] of Object.entries(projects)) {
    const { code, stderr } = await caractrl(['apply', '-f', '-'], { server: url(), input: manifest(name, onNodeLost) });
    assert.equal(code, 0, stderr);
    await projectInPhase(url(), { name, phase: 'Running' });
  }
  await join(run, 'worker-01');
  return two;
}

interface ContainerState {
  readonly Id: string;
  readonly HostConfig: { readonly RestartPolicy: { readonly Name: string } };
  readonly State: { readonly Running: boolean; readonly StartedAt: string; readonly FinishedAt: string; readonly ExitCode: number };
}

async function inspect(engineHost: string, name: string): Promise<ContainerState> {
  return (await callEngineJson({ host: engineHost, path: `/containers/${name}/json` })) as ContainerState;
}

/** Nanoseconds since 1970, which Date.parse would cut to milliseconds. */
function toNs(text: string): bigint {
  const [, whole = '', fraction = ''] = /^(.*?)(?:\.([0-9]+))?Z$/u.exec(text) ?? [];
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

async function onNode(project: string, node: string): Promise<void> {
  await until(async () => (await findObject(url(), `projects/${project}`))?.status['nodeRef'] === node, {
    what: `${project} on ${node}`,
    timeoutMs: 60_000,
  });
  await projectInPhase(url(), { name: project, phase: 'Running' });
}

/** How long the machine was without any copy; negative: two ran. */
async function gapMs(project: string): Promise<number> {
  const name = `cara_${project}_web`;
  const [old, young] = [await inspect(far.host, name), await inspect(testEngine(), name)];
  assert.equal(old.State.Running, false);
  return Number(toNs(young.State.StartedAt) - toNs(old.State.FinishedAt)) / 1e6;
}

async function farIsEmpty(): Promise<void> {
  const look = async (): Promise<boolean> => isDeepStrictEqual(await contentsOf(far.host), NOTHING);
  await until(look, { what: 'old copies to go', timeoutMs: 60_000 });
}

async function remove(...names: readonly string[]): Promise<void> {
  const { code, stderr } = await caractrl(['delete', 'projects', ...names, '--timeout', '30s'], { server: url() });
  assert.equal(code, 0, stderr);
}

test('a link is cut: what is fenced stops before it starts elsewhere, what is not moves in its time, and old copies go when it heals', async () => {
  await runOnFar('cut', { fenced: FENCE, plain: NO_FENCE });
  assert.equal((await inspect(far.host, 'cara_fenced_web')).HostConfig.RestartPolicy.Name, 'no');
  assert.equal((await inspect(far.host, 'cara_plain_web')).HostConfig.RestartPolicy.Name, 'unless-stopped');

  await setLink(link, 'down');
  await onNode('plain', 'worker-01');
  assert.equal((await inspect(far.host, 'cara_plain_web')).State.Running, true, 'nobody told the old copy');
  await onNode('fenced', 'worker-01');
  const gap = await gapMs('fenced');
  assert.ok(gap > 0, `two copies ran for ${-gap} ms`);
  console.log(`# fenced: ${Math.round(gap)} ms without a copy`);

  await setLink(link, 'up');
  await farIsEmpty();
  assert.equal((await inspect(testEngine(), 'cara_fenced_web')).State.Running, true);
  await remove('fenced', 'plain');
});

test('a link is cut and its agent killed: the guard kills what is fenced in time, and the next agent finds it', async () => {
  const two = await runOnFar('killed', { killed: FENCE });
  await setLink(link, 'down');
  await two.kill();
  await onNode('killed', 'worker-01');
  const { State: state } = await inspect(far.host, 'cara_killed_web');
  assert.deepEqual([state.Running, state.ExitCode], [false, 137]);
  const gap = await gapMs('killed');
  assert.ok(gap > 0, `two copies ran for ${-gap} ms`);
  console.log(`# fenced, agent killed: ${Math.round(gap)} ms without a copy`);

  await setLink(link, 'up');
  const again = await join('killed', 'worker-02');
  await again.logged('projects assigned');
  await farIsEmpty();
  assert.ok(
    again.log().every(({ msg, stepKind }) => msg !== 'step done' || stepKind !== 'startContainer'),
    'and starts it not once',
  );
  await remove('killed');
});

test('a link is cut, its agent killed and its engine hangs: the guard kills the processes', async () => {
  const two = await runOnFar('hung', { hung: FENCE });
  const { Id: id } = await inspect(far.host, 'cara_hung_web');
  assert.ok(processesOf(id).length > 0);
  await setLink(link, 'down');
  await two.kill();
  process.kill(far.pid, 'SIGSTOP');
  try {
    const goneAtMs = await until(() => processesOf(id).length === 0 && Date.now(), { what: 'its processes to end', timeoutMs: 60_000 });
    await onNode('hung', 'worker-01');
    const startedAtMs = Number(toNs((await inspect(testEngine(), 'cara_hung_web')).State.StartedAt) / 1_000_000n);
    assert.ok(startedAtMs > goneAtMs, `two copies ran for ${goneAtMs - startedAtMs} ms`);
    console.log(`# fenced, engine hung: ${startedAtMs - goneAtMs} ms without a copy`);
  } finally {
    process.kill(far.pid, 'SIGCONT');
  }
  await setLink(link, 'up');
  await remove('hung');
});

/** The pids of a container, without asking its engine. */
function processesOf(containerId: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^[0-9]+$/u.test(name) && readFileSync(`/proc/${name}/cgroup`, 'utf8').includes(containerId);
    } catch {
      return false;
    }
  });
}
