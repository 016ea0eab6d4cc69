/**
 * What a user's session costs: apply -> Running beside the same calls straight on the engine's API, the memory of server and agent, the agent's CPU time at rest, and
 * `caractrl get nodes` with a hundred nodes. On the real programs and a private engine.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callEngineJson } from '../scripts/lib/engine-http.ts';
import { startEngine } from '../scripts/lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from '../scripts/lib/hello-image.ts';
import { until } from '../scripts/lib/wait.ts';
import { systemClock } from '../src/base/clock.ts';
import { createCaraClient, type CaraClient } from '../src/client/cara-client.ts';
import { createTransport } from '../src/client/transport.ts';
import { startAgent, startServer } from '../test/support/programs/programs.ts';
import { median, printTable, tell, type Figure } from './figures.ts';
import { kept, undoWhenBrokenOff } from './kept.ts';

const ROUNDS = 16;
const FLEET = 100;
const CONTAINERS = 20;
const IDLE_MS = 30_000;
const SIGNAL = AbortSignal.timeout(300_000);

function manifest(name: string, services: number): unknown {
  const service = (index: number) => ({ name: `s${index}`, image: HELLO_IMAGE, command: ['greeter'], stopGracePeriod: '0s' });
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name },
    spec: { services: Array.from({ length: services }, (_, index) => service(index)) },
  };
}

/** From the apply to the moment a watcher is told Running, in ms. */
async function timeApply(client: CaraClient, name: string, services: number): Promise<number> {
  const { metadata } = await client.projects.list({}, SIGNAL);
  const seen = (async () => {
    for await (const event of client.projects.watch({ since: metadata.resourceVersion }, SIGNAL)) {
      if (event.type !== 'BOOKMARK' && event.object.metadata.name === name && event.object.status.phase === 'Running') {
        return performance.now();
      }
    }
    throw new Error('the watch ended');
  })();
  const startedAt = performance.now();
  await client.projects.apply(name, manifest(name, services), SIGNAL);
  return (await seen) - startedAt;
}

async function remove(client: CaraClient, name: string): Promise<void> {
  await client.projects.delete(name, {}, SIGNAL);
  await until(async () => (await client.projects.find(name, SIGNAL)) === undefined, { what: `${name} to be gone`, timeoutMs: 60_000 });
}

/** The same on the engine's API alone: network, then create and start each, and one look that it runs; in ms. */
async function timeEngine(host: string, services: number): Promise<number> {
  const call = async (method: 'GET' | 'POST' | 'DELETE', target: string, body?: unknown): Promise<Record<string, unknown>> =>
    (await callEngineJson({
      host,
      method,
      path: target,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })) as Record<string, unknown>;
  const startedAt = performance.now();
  const network = await call('POST', '/v1.41/networks/create', { Name: 'raw', IPAM: { Config: [{ Subnet: '10.99.0.0/26' }] } });
  const ids = await Promise.all(
    Array.from({ length: services }, async (_, index) => {
      const { Id } = await call('POST', `/v1.41/containers/create?name=raw_${index}`, {
        Image: HELLO_IMAGE,
        Cmd: ['greeter'],
        HostConfig: { NetworkMode: 'raw' },
      });
      await call('POST', `/v1.41/containers/${String(Id)}/start`);
      await call('GET', `/v1.41/containers/${String(Id)}/json`);
      return String(Id);
    }),
  );
  const tookMs = performance.now() - startedAt;
  await Promise.all(ids.map(async (id) => await call('DELETE', `/v1.41/containers/${id}?force=true`)));
  await call('DELETE', `/v1.41/networks/${String(network['Id'])}`);
  return tookMs;
}

async function benchApply(client: CaraClient, host: string, services: number, rounds: number): Promise<Figure> {
  const ours: number[] = [];
  const raw: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const name = `bench-${services}-${round}`;
    const measureOurs = async (): Promise<void> => {
      ours.push(await timeApply(client, name, services));
      await remove(client, name);
    };
    const measureRaw = async (): Promise<void> => void raw.push(await timeEngine(host, services));
    // In turn first: the kernel still clears away the networks of the one before, and holds up the one after.
    for (const measure of round % 2 === 0 ? [measureOurs, measureRaw] : [measureRaw, measureOurs]) {
      await measure();
    }
  }
  ours.shift(); // the first round warms both up
  raw.shift();
  return tell(`apply_to_running_${services}_service${services === 1 ? '' : 's'}`, median(ours), 'ms', median(raw));
}

/** Resident memory of a process, in MB. */
function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000;
}

/** CPU time of a process while it has nothing to do, in % of a core. */
async function idleCpu(pid: number): Promise<number> {
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]); // utime and stime, in hundredths of a second
  };
  const before = ticks();
  await systemClock.sleep(IDLE_MS, SIGNAL);
  return ((ticks() - before) * 10 * 100) / IDLE_MS;
}

/** Whole processes, one after the other, in ms. */
async function timeProcess(command: string, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startedAt = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    spawn(command, args, { stdio: 'ignore' }).on('close', () => resolve());
    await promise;
    times.push(performance.now() - startedAt);
  }
  return median(times.slice(1));
}

export async function run(): Promise<void> {
  const figures: Figure[] = [];
  const dir = mkdtempSync(path.join(tmpdir(), 'cb'));
  undoWhenBrokenOff(() => rmSync(dir, { recursive: true, force: true }));
  try {
    await using engine = await kept(startEngine({ dir: path.join(dir, 'e') }));
    await buildHelloImage({ engineHost: engine.host, cacheDir: path.join(import.meta.dirname, '../node_modules/.cache/caravanserai') });
    await using server = await kept(startServer());
    // The first start of a new version strips the types of every file, which leaves 20 MB behind until the next.
    spawnSync(path.join(import.meta.dirname, '../bin/cara-agent'), ['--help']);
    await using agent = await kept(startAgent({ serverUrl: server.url, engineHost: engine.host, nodeName: 'bench' }));
    const client = createCaraClient(createTransport({ serverUrl: server.url, userAgent: 'bench', clock: systemClock }));
    await until(async () => (await client.nodes.find('bench', SIGNAL))?.status.state === 'Ready', {
      what: 'the node to be Ready',
      timeoutMs: 30_000,
    });
    figures.push(await benchApply(client, engine.host, 1, ROUNDS), await benchApply(client, engine.host, 10, 6));

    await timeApply(client, 'resident', CONTAINERS);
    for (let index = 0; index < FLEET - 1; index += 1) {
      const name = `idle-${index}`;
      await client.registerNode(name, {}, SIGNAL);
      await client.sendHeartbeat(name, { capacity: { cpu: '2', memory: '4Gi' } }, SIGNAL);
    }
    figures.push(
      tell(`agent_memory_${CONTAINERS}_containers`, residentMb(agent.pid), 'MB'),
      tell(`server_memory_${FLEET}_nodes`, residentMb(server.pid), 'MB'),
    );
    figures.push(tell(`agent_idle_cpu_${CONTAINERS}_containers`, await idleCpu(agent.pid), '%'));
    const caractrl = path.join(import.meta.dirname, '../bin/caractrl');
    const getNodes = await timeProcess(caractrl, ['--server', server.url, 'get', 'nodes']);
    figures.push(tell(`caractrl_get_nodes_${FLEET}`, getNodes, 'ms', await timeProcess('docker', ['-H', engine.host, 'ps'])));
    await remove(client, 'resident');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  printTable(figures);
}
