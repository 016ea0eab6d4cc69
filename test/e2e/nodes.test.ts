/**
 * What becomes of nodes and of what runs on them, on two real engines in two network namespaces: deleted, copied, reinstalled, cut off,
 * without an engine, out of disk. The server and a second machine are near, worker-01 is far, at the other end of a link.
 */
import assert from 'node:assert/strict';
import { cpSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { callEngine, callEngineJson } from '../../scripts/lib/engine-http.ts';
import type { Engine } from '../../scripts/lib/engine.ts';
import { findFreePort } from '../../scripts/lib/ports.ts';
import { runOrThrow } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { findCondition, type Condition } from '../../src/api/condition.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { contentsOf, IMAGES, startExtraEngine, testEngine } from '../support/engines/engine.ts';
import { linkHosts, setLink } from '../support/network/host-link.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { findObject, nodeInState, projectInPhase } from '../support/programs/seen.ts';

const NODE = 'worker-01';
const NEAR = '10.98.78.1'; // the test's namespace, with the server and the second machine
const FAR = '10.98.78.2'; // the namespace of worker-01
const LINK = `cn${process.pid}`;
const TIMEOUT_MS = 4000;
const NOTICE_MS = 1000; // the promise: NotReady within so much of the timeout
const DISK_MB = 192;
const DELETED = 'node record was deleted: keeps supervising; restart cara-agent to register again';

let far: Engine;

before(async () => {
  far = await startExtraEngine({ network: 'own', images: 'hello', diskMegabytes: DISK_MB });
  const netns = far.netns ?? assert.fail();
  await linkHosts({ link: LINK, netns, near: NEAR, far: FAR });
});

after(async () => await far.stop());

interface WorldOptions {
  /** of one service, that runs on worker-01 when the test begins */
  readonly project: string;
  /** the server's */
  readonly env?: Readonly<Record<string, string>>;
}

/** A control plane of its own for each test; worker-01's agent starts with it. */
async function setUp({ project, env = {} }: WorldOptions) {
  const things = new AsyncDisposableStack();
  things.defer(async () => await clearAway([testEngine(), far.host], project)); // once no agent would make it anew
  const scratch = things.use(makeScratch());
  const port = await findFreePort(9400, '0.0.0.0');
  const settings = { HOST: '0.0.0.0', PORT: String(port), AUTH: 'none', TLS: 'off', NODE_HEARTBEAT_TIMEOUT: `${TIMEOUT_MS}ms`, ...env };
  const serve = async (): Promise<Program> => things.use(await startServer({ env: settings, dataDir: path.join(scratch.path, 'server') }));
  const server = await serve();
  const url = `http://127.0.0.1:${port}`;
  const diskOf = (machine: string): string => path.join(scratch.path, machine);
  /** @param disk of the machine; 'far' by default, and whatever is not far is near */
  const start = async (disk = 'far'): Promise<Program> => {
    const place = disk === 'far' ? { engineHost: far.host, netns: far.netns ?? assert.fail() } : { engineHost: testEngine() };
    const agent = { serverUrl: `http://${NEAR}:${port}`, nodeName: NODE, dataDir: diskOf(disk), env: { HEARTBEAT_INTERVAL: '1s' } };
    return things.use(await startAgent({ ...agent, ...place }));
  };
  const copyDisk = (from: string, to: string): void => {
    cpSync(diskOf(from), diskOf(to), { recursive: true });
    // on a machine of its own their processes would not run
    ['agent.lock', 'fence-guard.lock'].forEach((lock) => rmSync(path.join(diskOf(to), lock), { force: true }));
  };
  const ctl = async (line: string, input?: string) =>
    await caractrl(line.split(' '), { server: url, ...(input !== undefined && { input }) });
  const apply = async (manifest: object): Promise<void> => {
    const { code, stderr } = await ctl('apply -f -', JSON.stringify(manifest));
    assert.equal(code, 0, stderr);
  };
  const begin = async () => {
    const agent = await start();
    await nodeInState(url, { name: NODE, state: 'Ready' });
    await apply(projectManifest(project));
    await projectInPhase(url, { name: project, phase: 'Running' });
    return { agent, containers: await startsOf(far.host, project) };
  };
  const begun = await begin().catch(async (error: unknown) => {
    await things.disposeAsync(); // or the file would run for as long as they do
    throw error;
  });
  return {
    ...begun,
    server,
    serve,
    copyDisk,
    url,
    start,
    ctl,
    apply,
    diskOf,
    node: async () => (await findObject(url, `nodes/${NODE}`)) as NodeObject | undefined,
    [Symbol.asyncDispose]: () => things.disposeAsync(),
  };
}

type World = Awaited<ReturnType<typeof setUp>>;

function projectManifest(name: string, service: object = {}, onNodeLost: object = { action: 'Keep' }): object {
  const greeter = { name: 'greeter', image: IMAGES.v1.tag, command: ['greeter'], stopGracePeriod: '0s', ...service };
  const spec = { services: [greeter], onNodeLost };
  return { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec };
}

/** container name -> id and start time: what a restart would change */
async function startsOf(engineHost: string, project: string): Promise<Readonly<Record<string, string>>> {
  const { containers } = await contentsOf(engineHost, `cara_${project}_`);
  const starts = Object.entries(containers).map(async ([name, id]) => {
    const { State } = (await callEngineJson({ host: engineHost, path: `/containers/${id}/json` })) as { State: { StartedAt: string } };
    return [name, `${id} ${State.StartedAt}`] as const;
  });
  return Object.fromEntries(await Promise.all(starts));
}

async function containersOf(engineHost: string, projects: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(projects.map(async (project) => (await contentsOf(engineHost, `cara_${project}_`)).containers));
  return found.flatMap((containers) => Object.keys(containers));
}

/** Containers and networks outlive their agents. */
async function clearAway(engineHosts: readonly string[], project: string): Promise<void> {
  for (const host of engineHosts) {
    const { containers, networks } = await contentsOf(host, `cara_${project}`);
    for (const target of [
      ...Object.values(containers).map((id) => `/containers/${id}?force=1`),
      ...networks.map((name) => `/networks/${name}`),
    ]) {
      await callEngine({ host, method: 'DELETE', path: target });
    }
  }
}

async function untilCondition(
  world: World,
  what: string,
  isSo: (condition: Condition | undefined, node: NodeObject) => boolean,
  type: string,
) {
  let last: NodeObject | undefined;
  return await until(
    async () => {
      last = await world.node();
      return last !== undefined && isSo(findCondition(last.status.conditions, type), last) && last;
    },
    { what: `${type} ${what}`, timeoutMs: 40_000 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${JSON.stringify(last?.status)}`, { cause: error });
  });
}

async function standingOf(agent: Program, netns?: string): Promise<string> {
  const words = ['curl', '-s', '--max-time', '5', `${agent.url}/healthz`];
  const [program = '', ...args] = netns === undefined ? words : ['nsenter', `--net=/run/netns/${netns}`, ...words];
  return (JSON.parse(await runOrThrow(program, args, { timeoutMs: 60_000 })) as { standing: string }).standing;
}

const reasonOf = (project: Awaited<ReturnType<typeof findObject>>): string | undefined =>
  findCondition((project?.status['conditions'] ?? []) as Condition[], 'Ready')?.reason;

test('a node deleted while its agent runs: 410, said once, nothing touched, its Projects Failed NodeLost; its next start adopts all', async () => {
  await using world = await setUp({ project: 'kept' });
  const { agent, url, ctl, containers } = world;
  const deletedMs = performance.now();
  const { code, stderr } = await ctl(`delete node ${NODE}`);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /kept \(Running\)/u);
  await agent.logged(DELETED);
  const failed = await projectInPhase(url, { name: 'kept', phase: 'Failed' });
  const tookMs = performance.now() - deletedMs;
  assert.equal(reasonOf(failed), 'NodeLost');
  assert.ok(tookMs > TIMEOUT_MS - 100 && tookMs < TIMEOUT_MS + 2000, `Failed after ${tookMs} ms`);
  const beat = await fetch(`${url}/api/v1/nodes/${NODE}/heartbeat`, { method: 'POST' });
  assert.equal(beat.status, 410);
  assert.equal(await world.node(), undefined);
  assert.equal(agent.log().filter(({ msg }) => msg === DELETED).length, 1);
  assert.deepEqual(await startsOf(far.host, 'kept'), containers);

  assert.equal(await agent.stop(), 0);
  await using _again = await world.start();
  await nodeInState(url, { name: NODE, state: 'Ready' });
  await projectInPhase(url, { name: 'kept', phase: 'Running' });
  assert.deepEqual(await startsOf(far.host, 'kept'), containers);
});

test('a node deleted and applied again while its agent runs is Ready again without a restart of the agent, and its Project Running', async () => {
  await using world = await setUp({ project: 'renewed' });
  const { agent, url, ctl, containers } = world;
  assert.equal((await ctl(`delete node ${NODE}`)).code, 0);
  await agent.logged(DELETED);
  await projectInPhase(url, { name: 'renewed', phase: 'Failed' });
  await world.apply({ apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: NODE, labels: { zone: 'a' } } });
  const node = await nodeInState(url, { name: NODE, state: 'Ready' });
  assert.deepEqual((node as unknown as NodeObject).metadata.labels, { zone: 'a' });
  await projectInPhase(url, { name: 'renewed', phase: 'Running' });
  assert.deepEqual(await startsOf(far.host, 'renewed'), containers);
  assert.equal(await standingOf(agent, far.netns), 'registered');
});

test('a node deleted with a Terminating Project on it: a live agent still finishes it, of a dead one it is let go', async () => {
  await using world = await setUp({ project: 'leaving', env: { PROJECT_TERMINATION_TIMEOUT: '3s' } });
  const { agent, url, ctl } = world;
  const trap = { entrypoint: ['/bin/busybox', 'sh', '-c'], command: ['trap "" TERM; while :; do /bin/busybox sleep 1; done'] };
  await world.apply(projectManifest('stubborn', { ...trap, stopGracePeriod: '2s' }));
  await projectInPhase(url, { name: 'stubborn', phase: 'Running' });
  assert.equal((await ctl('delete project stubborn --wait=false')).code, 0);
  await projectInPhase(url, { name: 'stubborn', phase: 'Terminating' });
  assert.equal((await ctl(`delete node ${NODE}`)).code, 0);
  await until(async () => (await findObject(url, 'projects/stubborn')) === undefined, { what: 'stubborn to be gone', timeoutMs: 60_000 });
  assert.deepEqual((await contentsOf(far.host, 'cara_stubborn')).containers, {});

  await agent.kill();
  assert.equal((await ctl('delete project leaving --wait=false')).code, 0);
  await until(async () => (await findObject(url, 'projects/leaving')) === undefined, { what: 'leaving to be let go', timeoutMs: 60_000 });
  await using _again = await world.start();
  await nodeInState(url, { name: NODE, state: 'Ready' });
});

test('a copied machine is refused, both are told, and the node, which stays Ready, says so with both addresses', async () => {
  await using world = await setUp({ project: 'single' });
  const { url, ctl, containers } = world;
  world.copyDisk('far', 'copy');
  await using copy = await world.start('copy');
  const node = await untilCondition(world, 'to be True', (condition) => condition?.status === 'True', 'DuplicateIdentity');
  const { message = '' } = findCondition(node.status.conditions, 'DuplicateIdentity') ?? {};
  assert.ok(message.includes(NEAR) && message.includes(FAR), message);
  const told = await until(() => copy.log().find(({ msg }) => msg === 'registration failing'), {
    what: 'the copy to tell',
    timeoutMs: 60_000,
  });
  assert.match(JSON.stringify(told), /identity\.json/u);
  await world.agent.logged('another machine claims the name of this node');
  const rounds = performance.now() + TIMEOUT_MS + NOTICE_MS;
  await until(
    async () => {
      const now = await world.node();
      assert.equal(now?.status.state, 'Ready');
      return performance.now() > rounds;
    },
    { what: 'a timeout to pass', timeoutMs: 60_000 },
  );
  assert.equal(await standingOf(copy), 'refused');
  assert.equal(await standingOf(world.agent, far.netns), 'registered');
  assert.match((await ctl('get nodes')).stdout, /^worker-01 +Ready +DuplicateIdentity/mu);
  assert.deepEqual(await startsOf(far.host, 'single'), containers);
  assert.equal((await findObject(url, 'projects/single'))?.status.phase, 'Running');
});

test('a copied machine runs nothing of what its original runs, fenced or not, at no time', async () => {
  await using world = await setUp({ project: 'twin' });
  await world.apply(projectManifest('fenced-twin', {}, { action: 'Reschedule', after: '12s', fence: true }));
  await projectInPhase(world.url, { name: 'fenced-twin', phase: 'Running' });
  const containers = { ...world.containers, ...(await startsOf(far.host, 'fenced-twin')) };
  world.copyDisk('far', 'copy');
  await using copy = await world.start('copy');
  let refusedAtMs = Infinity;
  await until(
    async () => {
      assert.deepEqual(await containersOf(testEngine(), ['twin', 'fenced-twin']), []);
      refusedAtMs = Math.min(refusedAtMs, (await standingOf(copy)) === 'refused' ? performance.now() : Infinity);
      return performance.now() > refusedAtMs + TIMEOUT_MS + NOTICE_MS;
    },
    { what: 'the copy to be refused, and a timeout to pass', timeoutMs: 60_000, intervalMs: 50 },
  );
  assert.deepEqual({ ...(await startsOf(far.host, 'twin')), ...(await startsOf(far.host, 'fenced-twin')) }, containers);
  await clearAway([far.host], 'fenced-twin');
});

test('a copied machine that nobody could be asked about takes back what it started, and its original goes on', async () => {
  await using world = await setUp({ project: 'alone' });
  await world.server.kill();
  world.copyDisk('far', 'copy');
  await using copy = await world.start('copy');
  await until(async () => (await containersOf(testEngine(), ['alone'])).length === 1, { what: 'it to act alone', timeoutMs: 60_000 });
  await using _server = await world.serve();
  await until(async () => (await standingOf(copy)) === 'refused', { what: 'the copy to be refused', timeoutMs: 60_000 });
  await until(async () => (await containersOf(testEngine(), ['alone'])).length === 0, {
    what: 'its container to be gone',
    timeoutMs: 60_000,
  });
  assert.equal(await standingOf(world.agent, far.netns), 'registered');
  assert.deepEqual(await startsOf(far.host, 'alone'), world.containers);
});

test('a reinstalled machine is refused with the one command that lets it in', async () => {
  await using world = await setUp({ project: 'moved-in' });
  await world.agent.kill();
  await using fresh = await world.start('reinstalled');
  const record = await until(() => fresh.log().find(({ msg }) => msg === 'registration failing'), { what: 'a refusal', timeoutMs: 60_000 });
  const command = /caractrl (node reset-identity \S+)/u.exec(String(record['detail']))?.[1] ?? assert.fail(JSON.stringify(record));
  assert.equal((await world.ctl(command)).code, 0);
  await until(async () => (await standingOf(fresh)) === 'registered', { what: 'it to get in', timeoutMs: 40_000 });
  await nodeInState(world.url, { name: NODE, state: 'Ready' });
});

test('a link cut and mended: NotReady a timeout later and no sooner, and all adopted on return', async () => {
  await using world = await setUp({ project: 'cut-off' });
  const { url, containers } = world;
  const cutMs = performance.now();
  await setLink(LINK, 'down');
  try {
    await nodeInState(url, { name: NODE, state: 'NotReady' });
    const tookMs = performance.now() - cutMs;
    assert.ok(tookMs > TIMEOUT_MS - 1200 && tookMs < TIMEOUT_MS + NOTICE_MS, `NotReady ${tookMs} ms after the cut`);
    const { status } = (await world.node()) ?? assert.fail();
    const silentMs =
      Date.parse(findCondition(status.conditions, 'NoHeartbeat')?.lastTransitionTime ?? '') - Date.parse(status.lastHeartbeat ?? '');
    assert.ok(silentMs >= TIMEOUT_MS - 20 && silentMs < TIMEOUT_MS + NOTICE_MS, `NotReady ${silentMs} ms after the last heartbeat`);
    const project = await findObject(url, 'projects/cut-off');
    assert.equal(project?.status.phase, 'Running');
    assert.equal(findCondition(project.status['conditions'] as Condition[], 'NodeReachable')?.status, 'False');
  } finally {
    await setLink(LINK, 'up');
  }
  await nodeInState(url, { name: NODE, state: 'Ready' });
  await until(
    async () =>
      findCondition((await findObject(url, 'projects/cut-off'))?.status['conditions'] as Condition[], 'NodeReachable')?.status !== 'False',
    { what: 'cut-off to be reachable', timeoutMs: 60_000 },
  );
  assert.equal((await findObject(url, 'projects/cut-off'))?.status.phase, 'Running');
  assert.deepEqual(await startsOf(far.host, 'cut-off'), containers);
});

test('a disk that fills: DiskPressure, critical below 2 %, cleared with hysteresis', async () => {
  await using world = await setUp({ project: 'full' });
  const { containers } = world;
  const data = path.join(path.dirname(far.host.replace('unix://', '')), 'data');
  const leave = async (percent: number): Promise<void> => {
    rmSync(path.join(data, 'ballast'), { force: true });
    const { bsize, blocks, bavail } = statfsSync(data);
    const length = Math.floor(bavail - (blocks * percent) / 100) * bsize;
    await runOrThrow('fallocate', ['--length', String(length), path.join(data, 'ballast')], { timeoutMs: 60_000 });
  };
  const reason = (wanted: string) => (condition: Condition | undefined) => condition?.reason === wanted;
  try {
    await leave(6);
    const low = await untilCondition(world, 'to be low', reason('DiskLow'), 'DiskPressure');
    assert.equal(low.status.state, 'Ready');
    await leave(1);
    const critical = await untilCondition(world, 'to be critical', reason('DiskCritical'), 'DiskPressure');
    assert.equal(critical.status.state, 'NotReady');
    assert.match((await world.ctl('get nodes')).stdout, /^worker-01 +NotReady +DiskPressure/mu);
    await leave(2.6); // above what set it, below what clears it
    await untilCondition(world, 'to say 2 %', (condition) => condition?.message.startsWith('2 %') === true, 'DiskPressure');
    assert.equal((await world.node())?.status.state, 'NotReady');
    await leave(11); // no longer critical, still in the gap
    const gap = await untilCondition(world, 'to be in the gap', reason('DiskLow'), 'DiskPressure');
    assert.equal(gap.status.state, 'Ready');
    await leave(20);
    await untilCondition(world, 'to clear', (condition) => condition?.status === 'False', 'DiskPressure');
  } finally {
    rmSync(path.join(data, 'ballast'), { force: true });
  }
  assert.deepEqual(await startsOf(far.host, 'full'), containers);
});

test('an engine that is stopped: RuntimeUnavailable and NotReady; started again: Ready, with the same containers', async () => {
  await using world = await setUp({ project: 'engineless' });
  const { url, containers } = world;
  await far.halt();
  try {
    const down = await untilCondition(world, 'to be True', (condition) => condition?.status === 'True', 'RuntimeUnavailable');
    assert.equal(down.status.state, 'NotReady');
    assert.match((await world.ctl('get nodes')).stdout, /^worker-01 +NotReady +RuntimeUnavailable /mu);
  } finally {
    await far.start();
  }
  await nodeInState(url, { name: NODE, state: 'Ready' });
  await projectInPhase(url, { name: 'engineless', phase: 'Running' });
  const ids = (starts: Readonly<Record<string, string>>): readonly string[] =>
    Object.values(starts).map((text) => text.split(' ')[0] ?? '');
  await until(async () => (await running('engineless')).length === 1, { what: 'the container to run', timeoutMs: 60_000 });
  assert.deepEqual(ids(await startsOf(far.host, 'engineless')), ids(containers));
});

async function running(project: string): Promise<readonly unknown[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`caravanserai.io/project=${project}`] }));
  return (await callEngineJson({ host: far.host, path: `/containers/json?filters=${filters}` })) as unknown[];
}
