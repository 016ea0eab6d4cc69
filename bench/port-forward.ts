/**
 * How fast `caractrl port-forward` carries bytes, on the direct path and through the tunnel, beside the same bytes through `socat` (the reference)
 * and through a bare relay of Node's; then the same for `caractrl exec`. Real programs, a real engine, one connection on loopback.
 *
 * On few cores what counts is CPU time: all processes of the chain share them. So that is told beside each rate.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { callEngineJson } from '../scripts/lib/engine-http.ts';
import { startEngine } from '../scripts/lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from '../scripts/lib/hello-image.ts';
import { findFreePort } from '../scripts/lib/ports.ts';
import { until } from '../scripts/lib/wait.ts';
import { createCaraClient, type CaraClient } from '../src/client/cara-client.ts';
import { createTransport } from '../src/client/transport.ts';
import { systemClock } from '../src/base/clock.ts';
import { startAgent, startServer } from '../test/support/programs/programs.ts';
import { median, printTable, tell, type Figure } from './figures.ts';
import { kept, undoWhenBrokenOff } from './kept.ts';

const MEGABYTES = 256;
const EXEC_MEGABYTES = 64;
const ROUNDS = 3;
const SOCAT = 'socat';
const SIGNAL = AbortSignal.timeout(120_000);
const CTL = path.join(import.meta.dirname, '../bin/caractrl');
/** where the agent does not listen, so that everything goes through the tunnel */
const ELSEWHERE = { NODE_IP: '127.0.0.2' };
const PORTS = { source: 9000, sink: 9001 };
const SOURCE = `dd if=/dev/zero bs=64k count=${MEGABYTES * 16} 2>/dev/null`;
const EXEC_SOURCE = `dd if=/dev/zero bs=64k count=${EXEC_MEGABYTES * 16}`;
/** says so when it has all, so that what is still under way counts */
const SINK = 'dd of=/dev/null bs=64k 2>/dev/null; echo done';

/** The bytes of one way, from where it listens. */
interface Way {
  readonly name: string;
  readonly source: number;
  readonly sink: number;
  /** whose CPU time is spent on it */
  readonly pids: readonly number[];
}

/** A TCP relay as short as Node can have it. */
const RELAY = `require('node:net').createServer({ allowHalfOpen: true }, (near) => {
  const far = require('node:net').connect({ port: process.argv[2], host: process.argv[1], allowHalfOpen: true });
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.pipe(far).pipe(near);
}).listen(process.argv[3], '127.0.0.1')`;

async function readAll(port: number): Promise<void> {
  const socket = net.connect({
    port,
    host: '127.0.0.1',
    onread: { buffer: Buffer.alloc(1024 * 1024), callback: (bytes) => (count += bytes) >= 0 },
  });
  let count = 0;
  await once(socket, 'end');
  socket.end();
  await once(socket, 'close');
  if (count !== MEGABYTES * 1024 * 1024) {
    throw new Error(`Cannot count on what was measured as ${count} bytes came`);
  }
}

async function writeAll(port: number): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunk = Buffer.alloc(1024 * 1024);
  for (let sent = 0; sent < MEGABYTES; sent += 1) {
    if (!socket.write(chunk)) {
      await once(socket, 'drain', { signal: SIGNAL });
    }
  }
  socket.end();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (String(answer) !== 'done\n') {
    throw new Error(`Cannot count on what was measured as the sink said ${String(answer)}`);
  }
  socket.destroy();
}

/** CPU time that the processes have had, in ms. */
function cpuMsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]); // utime and stime, in hundredths of a second
  });
  return ticks.reduce((sum, one) => sum + one, 0) * 10;
}

interface Rate {
  readonly megabytesPerSecond: number;
  readonly cpuMs: number;
}

async function timeOne(work: () => Promise<void>, pids: readonly number[], megabytes = MEGABYTES): Promise<Rate> {
  const [startedAt, cpuBefore] = [performance.now(), cpuMsOf(pids)];
  await work();
  return { megabytesPerSecond: (megabytes * 1000) / (performance.now() - startedAt), cpuMs: cpuMsOf(pids) - cpuBefore };
}

/** All ways in turn, so that what else the machine does falls on each. */
async function compare(label: string, ways: readonly Way[], work: (way: Way) => Promise<void>): Promise<readonly Figure[]> {
  const rates = new Map<string, Rate[]>(ways.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const way of ways) {
      const rate = await timeOne(() => work(way), way.pids);
      rates.get(way.name)?.push(...(round === 0 ? [] : [rate])); // the first warms it up
    }
  }
  const of = (name: string, field: keyof Rate): number => median((rates.get(name) ?? []).map((rate) => rate[field]));
  const reference = ways.find(({ name }) => name === 'socat')?.name ?? 'relay';
  const rateOf = (name: string): number => of(name, 'megabytesPerSecond');
  const cpuOf = (name: string): number => (of(name, 'cpuMs') * 1024) / MEGABYTES;
  return [
    ...(reference === 'socat' ? [tell(`${label}_relay`, rateOf('relay'), 'MiB/s', rateOf(reference))] : []),
    tell(label, rateOf('caractrl'), 'MiB/s', rateOf(reference)),
    tell(`${label}_cpu_per_gib`, cpuOf('caractrl'), 'ms', cpuOf('relay')), // socat's is in children of its own
  ];
}

/** Spawned, until the bench ends. */
class Children {
  readonly #children: ChildProcess[] = [];

  start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    this.#children.push(child);
    return child;
  }

  stop(): void {
    this.#children.forEach((child) => child.kill('SIGKILL'));
  }
}

/** One relay process for each port, each beginning at `from`. */
async function startReference(
  children: Children,
  { name, target }: { readonly name: 'socat' | 'relay'; readonly target: string },
): Promise<Way> {
  const source = await findFreePort(22_000, '127.0.0.1');
  const sink = await findFreePort(source + 1, '127.0.0.1');
  const pids = [
    [source, PORTS.source],
    [sink, PORTS.sink],
  ].map(([from, to]) => {
    const child =
      name === 'socat'
        ? children.start(SOCAT, ['-b', '65536', `TCP-LISTEN:${from},bind=127.0.0.1,reuseaddr,fork`, `TCP:${target}:${to}`])
        : children.start(process.execPath, ['-e', RELAY, target, String(to), String(from)]);
    return child.pid ?? 0;
  });
  for (const port of [source, sink]) {
    await until(() => isOpen(port, '127.0.0.1'), { what: `${name} to listen`, timeoutMs: 10_000 });
  }
  return { name, source, sink, pids };
}

async function isOpen(port: number, host: string): Promise<boolean> {
  const socket = net.connect(port, host);
  await once(socket, 'connect');
  socket.destroy();
  return true;
}

async function startOurs(children: Children, server: string, pids: readonly number[]): Promise<Way> {
  const child = children.start(CTL, ['port-forward', 'bench/web', `:${PORTS.source}`, `:${PORTS.sink}`], { CARA_SERVER: server });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => (said += String(chunk)));
  const ports = await until(
    () => {
      const found = [...said.matchAll(/^Forwarding 127\.0\.0\.1:(\d+) /gmu)].map(([, port]) => Number(port));
      return found.length === 2 && found;
    },
    { what: 'port-forward to listen', timeoutMs: 20_000 },
  );
  const [source = 0, sink = 0] = ports;
  return { name: 'caractrl', source, sink, pids: [child.pid ?? 0, ...pids] };
}

/** Through a shell, as a user pipes it. */
async function pipe(line: string, env: Readonly<Record<string, string>>): Promise<void> {
  const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env } });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) {
    throw new Error(`Cannot measure as this failed: ${line}`);
  }
}

async function benchExec(
  label: string,
  { server, engine, container }: { server: string; engine: string; container: string },
): Promise<readonly Figure[]> {
  const env = { CARA_SERVER: server, DOCKER_HOST: engine };
  const ways = [
    { name: 'docker', exec: `docker exec -i ${container}` },
    { name: 'caractrl', exec: `${CTL} exec -i bench/web --` },
  ];
  const figures: Figure[] = [];
  for (const [direction, line] of [
    ['out', (exec: string) => `${exec} /bin/busybox ${EXEC_SOURCE} </dev/null >/dev/null 2>&1`],
    ['in', (exec: string) => `${EXEC_SOURCE} 2>/dev/null | ${exec} /bin/busybox dd of=/dev/null bs=64k >/dev/null 2>&1`],
  ] as const) {
    const rates = new Map<string, number[]>();
    for (let round = 0; round < 2; round += 1) {
      for (const { name, exec } of ways) {
        const { megabytesPerSecond } = await timeOne(() => pipe(line(exec), env), [], EXEC_MEGABYTES);
        rates.set(name, [...(rates.get(name) ?? []), megabytesPerSecond]);
      }
    }
    figures.push(
      tell(`${label}_${direction}`, Math.max(...(rates.get('caractrl') ?? [])), 'MiB/s', Math.max(...(rates.get('docker') ?? []))),
    );
  }
  return figures;
}

async function applyBench(client: CaraClient): Promise<void> {
  const listen = (port: number, line: string): string => `/bin/busybox nc -ll -p ${port} -e /bin/sh -c '${line}'`;
  const command = `export PATH=/b; /bin/busybox mkdir /b; /bin/busybox --install -s /b; ${listen(PORTS.source, SOURCE)} & ${listen(PORTS.sink, SINK)} & exec sleep 1d`;
  const service = { name: 'web', image: HELLO_IMAGE, entrypoint: ['/bin/busybox', 'sh', '-c'], command: [command], stopGracePeriod: '0s' };
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'bench' }, spec: { services: [service] } };
  await client.projects.apply('bench', manifest, SIGNAL);
  await until(async () => (await client.projects.get('bench', SIGNAL)).status.phase === 'Running', {
    what: 'the Project to run',
    timeoutMs: 60_000,
  });
}

/** Its address, once it listens. */
async function addressOf(host: string): Promise<string> {
  const detail = (await callEngineJson({ host, method: 'GET', path: '/v1.41/containers/cara_bench_web/json' })) as {
    readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
  };
  return Object.values(detail.NetworkSettings.Networks)[0]?.IPAddress ?? '';
}

export async function run(): Promise<void> {
  const figures: Figure[] = [];
  const dir = mkdtempSync(path.join(tmpdir(), 'cb'));
  const children = new Children();
  undoWhenBrokenOff(() => rmSync(dir, { recursive: true, force: true }));
  undoWhenBrokenOff(() => children.stop());
  try {
    await using engine = await kept(startEngine({ dir: path.join(dir, 'e') }));
    await buildHelloImage({ engineHost: engine.host, cacheDir: path.join(import.meta.dirname, '../node_modules/.cache/caravanserai') });
    await using server = await kept(startServer());
    const client = createCaraClient(createTransport({ serverUrl: server.url, userAgent: 'bench', clock: systemClock }));
    const hasSocat = spawnSync(SOCAT, ['-V']).status === 0;
    if (!hasSocat) {
      process.stderr.write('socat is not installed: the reference is a bare relay of Node alone\n');
    }
    for (const [pathName, env] of [
      ['direct', {}],
      ['tunnel', ELSEWHERE],
    ] as const) {
      await using agent = await kept(
        startAgent({ serverUrl: server.url, engineHost: engine.host, nodeName: 'bench', dataDir: path.join(dir, 'agent'), env }),
      );
      await until(async () => (await client.nodes.find('bench', SIGNAL))?.status.state === 'Ready', {
        what: 'the node to be Ready',
        timeoutMs: 30_000,
      });
      if (pathName === 'direct') {
        await applyBench(client);
      }
      await until(async () => (await client.measureLink('bench', SIGNAL)).path === pathName, {
        what: `the ${pathName} path`,
        timeoutMs: 60_000,
      });
      const target = await addressOf(engine.host);
      for (const port of Object.values(PORTS)) {
        await until(() => isOpen(port, target), { what: `port ${port} of the container`, timeoutMs: 20_000 });
      }
      const ways = [
        ...(hasSocat ? [await startReference(children, { name: 'socat', target })] : []),
        await startReference(children, { name: 'relay', target }),
        await startOurs(children, server.url, [server.pid, agent.pid]),
      ];
      figures.push(...(await compare(`port_forward_${pathName}_download`, ways, ({ source }) => readAll(source))));
      figures.push(...(await compare(`port_forward_${pathName}_upload`, ways, ({ sink }) => writeAll(sink))));
      figures.push(...(await benchExec(`exec_${pathName}`, { server: server.url, engine: engine.host, container: 'cara_bench_web' })));
    }
  } finally {
    children.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  printTable(figures);
}
