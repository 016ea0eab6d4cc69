/**
 * Logs on two real engines in two network namespaces. worker-01 is near, with the server; worker-02 is behind what lets nothing in but
 * answers, as a NAT does, so that the server reaches it through the agent's own connection alone.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { callEngine } from '../../scripts/lib/engine-http.ts';
import type { Engine } from '../../scripts/lib/engine.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { linkHosts, refuseIncoming, setLink } from '../support/network/host-link.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { nodeInState, projectInPhase } from '../support/programs/seen.ts';
import { startFollower, type Follower } from '../support/programs/log-follower.ts';

const NEAR = '10.98.79.1';
const FAR = '10.98.79.2';
const link = `cl${process.pid}`;
const LONG_MS = 60_000;

/** Writes numbered lines, each with the run that it belongs to, two hundred a second. */
const WRITER =
  'run=$(/bin/busybox cut -d" " -f22 /proc/self/stat); i=0; while :; do echo "$run $i"; i=$((i+1)); /bin/busybox usleep 5000; done';

const scratch = makeScratch();
let far: Engine;
let serverPort = 0;
let server: Program;
let nearAgent: Program;
let farAgent: Program;

before(async () => {
  far = await startExtraEngine({ network: 'own', images: 'hello' });
  const netns = far.netns ?? assert.fail();
  await linkHosts({ link, netns, near: NEAR, far: FAR });
  await refuseIncoming(netns);
  serverPort = await findFreePort(9400, '0.0.0.0');
  await begin();
  nearAgent = await join('worker-01');
  farAgent = await join('worker-02');
  for (const worker of ['worker-01', 'worker-02']) {
    await nodeInState(url(), { name: worker, state: 'Ready' });
    const labelled = await ctl('label', 'node', worker, `node=${worker}`);
    assert.equal(labelled.code, 0, labelled.stderr);
  }
});

after(async () => {
  for (const project of ['shop', 'many']) {
    await ctl('delete', 'project', project);
  }
  for (const program of [farAgent, nearAgent, server]) {
    await program[Symbol.asyncDispose]();
  }
  await far.stop();
  scratch[Symbol.dispose]();
});

beforeEach(async () => {
  for (const name of ['worker-01', 'worker-02']) {
    await nodeInState(url(), { name, state: 'Ready' });
  }
});

async function begin(): Promise<void> {
  const env = { HOST: '0.0.0.0', PORT: String(serverPort), AUTH: 'none', TLS: 'off', NODE_HEARTBEAT_TIMEOUT: '8s' };
  server = await startServer({ env, dataDir: `${scratch.path}/server` });
}

async function join(nodeName: string): Promise<Program> {
  const isFar = nodeName === 'worker-02';
  return await startAgent({
    serverUrl: `http://${NEAR}:${serverPort}`,
    engineHost: isFar ? far.host : testEngine(),
    nodeName,
    dataDir: `${scratch.path}/${nodeName}`,
    env: { HEARTBEAT_INTERVAL: '1s', AGENT_HOST: '0.0.0.0' },
    ...(isFar && { netns: far.netns ?? assert.fail() }),
  });
}

function url(): string {
  return `http://127.0.0.1:${serverPort}`;
}

async function ctl(...args: readonly string[]) {
  return await caractrl(args, { server: url() });
}

interface Wanted {
  readonly node: string;
  readonly image?: string;
  readonly logging?: object;
}

async function apply(name: string, { node, image = IMAGES.v1.tag, ...service }: Wanted): Promise<void> {
  const services = [{ name: 'web', image, entrypoint: ['/bin/busybox', 'sh', '-c'], command: [WRITER], stopGracePeriod: '0s', ...service }];
  const spec = { services, nodeSelector: { node } };
  const manifest = JSON.stringify({ apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec });
  const applied = await caractrl(['apply', '--wait', '-f', '-'], { server: url(), input: manifest });
  assert.equal(applied.code, 0, applied.stderr);
}

async function follow(...args: readonly string[]): Promise<Follower> {
  return await startFollower(['logs', '-f', ...args], { server: url() });
}

test('describe node shows the path to each agent', async () => {
  assert.match((await ctl('describe', 'node', 'worker-01')).stdout, /Path: +direct to [\d.]+:\d+, round trip [\d.]+ ms/u);
  assert.match(
    (await ctl('describe', 'node', 'worker-02')).stdout,
    /Path: +tunnel of the agent, round trip [\d.]+ ms \(10\.98\.79\.2:\d+: nothing answers there\)/u,
  );
});

test('logs -f of a node behind NAT loses and repeats no line, whatever breaks on the way', async () => {
  await apply('shop', { node: 'worker-02', logging: { maxSize: '64Ki', maxFiles: 3 } });
  await using follower = await follow('shop/web');
  await follower.more(100);

  await farAgent.kill();
  await follower.quiet();
  farAgent = await join('worker-02');
  await follower.more(300);

  await server.kill();
  await begin();
  await follower.more(300);
  assert.match(follower.notes(), /^--- [\d.]+ s without contact with worker-02 ---$/mu);

  const [id = assert.fail()] = Object.values((await contentsOf(far.host, 'cara_shop_')).containers);
  await callEngine({ host: far.host, method: 'POST', path: `/containers/${id}/kill` });
  await follower.nextRun();
  await follower.more(100);
  assert.match(follower.notes(), /^--- shop\/web has ended/mu);

  await apply('shop', { node: 'worker-02', image: IMAGES.v2.tag, logging: { maxSize: '64Ki', maxFiles: 3 } });
  await follower.nextRun();
  await follower.more(100);

  await apply('shop', { node: 'worker-01', image: IMAGES.v2.tag }); // its place is not what it asks for any more
  const moved = await ctl('move', 'project', 'shop', '--to', 'worker-01');
  assert.equal(moved.code, 0, moved.stderr);
  await projectInPhase(url(), { name: 'shop', phase: 'Running' });
  await until(() => /shop\/web has moved from worker-02 to worker-01/u.test(follower.notes()), {
    what: 'word of the move',
    timeoutMs: LONG_MS,
  });
  await follower.nextRun();
  await follower.more(100);
  follower.check();
});

test('logs -f says how long there was no contact when the line is cut without a word', async () => {
  await apply('many', { node: 'worker-02' });
  await using follower = await follow('many/web', '--tail', '1');
  await follower.more(50);
  await setLink(link, 'down');
  await until(() => /no contact:/u.test(follower.notes()), { what: 'word of the loss', timeoutMs: LONG_MS });
  await setLink(link, 'up');
  await follower.more(500);
  assert.match(follower.notes(), /^--- \d+ s without contact with worker-02 ---$/mu);
  follower.check({ from: 'anywhere' });
});

test('200 followers of one agent behind NAT all get their lines', async () => {
  await apply('many', { node: 'worker-02' });
  const path = `${url()}/api/v1/projects/many/services/web/logs?follow&tail=1`;
  const stop = new AbortController();
  const firsts = Array.from({ length: 200 }, async () => {
    const response = await fetch(path, { signal: stop.signal });
    const { value } = await (response.body ?? assert.fail()).getReader().read();
    return Buffer.from(value ?? assert.fail()).toString();
  });
  for (const first of await Promise.all(firsts)) {
    assert.match(first, /^\d+ \d+\n/u);
  }
  stop.abort();
  const { code, stdout } = await ctl('logs', 'many/web', '--tail', '2');
  assert.equal(code, 0);
  assert.equal(stdout.trim().split('\n').length, 2);
});
