/**
 * How fast a long log is read, beside `docker logs` of the same container in the same run: through agent and server by `caractrl logs`,
 * and as text by curl's way; how soon the last lines of it are there; and what CPU time each program spends. On the real programs and a
 * private engine. `npm run bench -- logs`; LINES=1000000 for a longer log.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callEngineJson } from '../scripts/lib/engine-http.ts';
import { startEngine } from '../scripts/lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from '../scripts/lib/hello-image.ts';
import { until } from '../scripts/lib/wait.ts';
import { systemClock } from '../src/base/clock.ts';
import { createCaraClient } from '../src/client/cara-client.ts';
import { createTransport } from '../src/client/transport.ts';
import { startAgent, startServer } from '../test/support/programs/programs.ts';
import { median, printTable, tell, type Figure } from './figures.ts';
import { kept, undoWhenBrokenOff } from './kept.ts';
import { cpuMs } from './process-usage.ts';

const LINES = Number(process.env['LINES'] ?? 300_000);
const ROUNDS = 3;
const TAIL_ROUNDS = 7;
const SIGNAL = AbortSignal.timeout(600_000);
const CARACTRL = path.join(import.meta.dirname, '../bin/caractrl');

/** A hundred bytes each, numbered, and then nothing more. */
const WRITER = `/bin/busybox seq 1 ${LINES} | /bin/busybox awk '{ printf "%09d %s\\n", $1, "${'abcdefghi '.repeat(9).slice(0, 89)}" }'; exec /bin/busybox sleep 100000`;

interface Reading {
  readonly bytes: number;
  readonly ms: number;
  /** of the reading program alone, in ms */
  readonly cpuMs: number;
}

/** Runs a program to its end and counts what it writes. */
async function read(command: string, args: readonly string[]): Promise<Reading> {
  const startedAt = performance.now();
  const child = spawn('/usr/bin/env', ['bash', '-c', 'time "$0" "$@" | wc -c', command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TIMEFORMAT: 'cpu %3U %3S' },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const { promise, resolve } = Promise.withResolvers<void>();
  child.on('close', () => resolve());
  await promise;
  const [, user = 'NaN', system = 'NaN'] = /cpu ([\d.]+) ([\d.]+)/u.exec(stderr) ?? [];
  return { bytes: Number(stdout.trim()), ms: performance.now() - startedAt, cpuMs: (Number(user) + Number(system)) * 1000 };
}

async function readText(url: string): Promise<Reading> {
  const startedAt = performance.now();
  let bytes = 0;
  for await (const chunk of (await fetch(url, { signal: SIGNAL })).body ?? []) {
    bytes += (chunk as Uint8Array).length;
  }
  return { bytes, ms: performance.now() - startedAt, cpuMs: 0 };
}

function check({ bytes, ...reading }: Reading): Reading {
  if (bytes !== LINES * 100) {
    throw new Error(`Cannot compare: ${bytes} bytes came of ${LINES * 100}`);
  }
  return { bytes, ...reading };
}

function rate({ bytes, ms }: Reading): number {
  return bytes / 1000 / ms; // MB/s
}

async function times(rounds: number, measure: () => Promise<Reading>): Promise<readonly Reading[]> {
  const readings: Reading[] = [];
  for (let round = 0; round < rounds; round += 1) {
    readings.push(await measure());
  }
  return readings;
}

export async function run(): Promise<void> {
  const figures: Figure[] = [];
  const dir = mkdtempSync(path.join(tmpdir(), 'cb'));
  undoWhenBrokenOff(() => rmSync(dir, { recursive: true, force: true }));
  try {
    await using engine = await kept(startEngine({ dir: path.join(dir, 'e'), netns: `cara-bench-${process.pid}` }));
    await buildHelloImage({ engineHost: engine.host, cacheDir: path.join(import.meta.dirname, '../node_modules/.cache/caravanserai') });
    await using server = await kept(startServer());
    await using agent = await kept(startAgent({ serverUrl: server.url, engineHost: engine.host, nodeName: 'bench' }));
    const client = createCaraClient(createTransport({ serverUrl: server.url, userAgent: 'bench', clock: systemClock }));
    const service = {
      name: 'web',
      image: HELLO_IMAGE,
      entrypoint: ['/bin/busybox', 'sh', '-c'],
      command: [WRITER],
      stopGracePeriod: '0s',
      logging: { maxSize: '1Gi', maxFiles: 1 },
    };
    const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'bench' }, spec: { services: [service] } };
    await until(async () => (await client.nodes.find('bench', SIGNAL))?.status.state === 'Ready', { what: 'the node', timeoutMs: 60_000 });
    await client.projects.apply('bench', manifest, SIGNAL);
    const path_ = `${server.url}/api/v1/projects/bench/services/web/logs`;
    const last = String(LINES).padStart(9, '0');
    await until(async () => (await (await fetch(`${path_}?tail=1`)).text()).startsWith(last), { what: 'the log', timeoutMs: 120_000 });
    const [{ Id: id = '' } = {}] = (await callEngineJson({ host: engine.host, path: '/v1.41/containers/json' })) as { Id?: string }[];

    const ours = ['--server', server.url, 'logs', 'bench/web'];
    const docker = ['-H', engine.host, 'logs', id];
    await read(CARACTRL, [...ours, '--tail', '1000']); // warms up
    const before = { agent: cpuMs(agent.pid), server: cpuMs(server.pid) };
    const readings = (await times(ROUNDS, async () => await read(CARACTRL, ours))).map(check);
    const megabytes = (ROUNDS * LINES * 100) / 1_000_000;
    const cpu = { agent: cpuMs(agent.pid) - before.agent, server: cpuMs(server.pid) - before.server };
    const references = (await times(ROUNDS, async () => await read('docker', docker))).map(check);
    const texts = (await times(ROUNDS, async () => await readText(path_))).map(check);
    const tails = await times(TAIL_ROUNDS, async () => await read(CARACTRL, [...ours, '--tail', '10']));
    const dockerTails = await times(TAIL_ROUNDS, async () => await read('docker', [...docker, '--tail', '10']));
    const reference = median(references.map(rate));
    figures.push(
      tell('logs_read_by_caractrl', median(readings.map(rate)), 'MB/s', reference),
      tell('logs_read_as_text', median(texts.map(rate)), 'MB/s', reference),
      tell('logs_cpu_caractrl', median(readings.map(({ cpuMs }) => cpuMs)) / (megabytes / ROUNDS), 'ms/MB', cpuPerMb(references)),
      tell('logs_cpu_server', cpu.server / megabytes, 'ms/MB'),
      tell('logs_cpu_agent', cpu.agent / megabytes, 'ms/MB'),
      tell('logs_tail_10', median(tails.map(({ ms }) => ms)), 'ms', median(dockerTails.map(({ ms }) => ms))),
    );
    await client.projects.delete('bench', {}, SIGNAL);
    await until(async () => (await client.projects.find('bench', SIGNAL)) === undefined, { what: 'the Project to go', timeoutMs: 60_000 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  printTable(figures);
}

function cpuPerMb(readings: readonly Reading[]): number {
  return median(readings.map(({ cpuMs, bytes }) => cpuMs / (bytes / 1_000_000)));
}
