/**
 * What it costs a server that agents keep their tunnels open: memory and CPU time of 5,000 that nobody uses, and of those over which
 * somebody has asked something. The agents' ends are the real ones, in this process.
 */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { until } from '../scripts/lib/wait.ts';
import { createAgentAccess } from '../src/agent/http/access.ts';
import { createDispatcher } from '../src/agent/http/dispatcher.ts';
import { serveTunnel } from '../src/agent/http/tunnel-front.ts';
import { createTunnelDialer } from '../src/agent/session/dial-tunnel.ts';
import { createTunnel } from '../src/agent/session/tunnel.ts';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import { Stopper } from '../src/base/stopper.ts';
import { Wakeup } from '../src/base/wakeup.ts';
import { createCaraClient, type CaraClient } from '../src/client/cara-client.ts';
import { httpFetch } from '../src/client/http-fetch.ts';
import { createTransport } from '../src/client/transport.ts';
import { startServer } from '../test/support/programs/programs.ts';
import { printTable, tell, type Figure } from './figures.ts';
import { kept } from './kept.ts';

const AGENTS = 5000;
const USED = 500;
const AT_ONCE = 50;
const IDLE_MS = 30_000;
const SETTLE_MS = 10_000;
const SIGNAL = AbortSignal.timeout(900_000);
const log = pino({ level: 'silent' });

interface Usage {
  readonly megabytes: number;
  /** hundredths of a second */
  readonly ticks: number;
}

function usageOf(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const megabytes = Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000;
  return { megabytes, ticks: Number(fields[11]) + Number(fields[12]) };
}

async function eachOf(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function nameOf(index: number): string {
  return `bench-${index}`;
}

/** Keeps a tunnel open as an agent does. */
function keepTunnel(name: string, credential: string, { serverUrl, stopper }: { serverUrl: string; stopper: Stopper }): void {
  const access = createAgentAccess();
  access.set(credential);
  const tunnel = createTunnel({
    dial: createTunnelDialer({ serverUrl, nodeName: name, userAgent: 'bench', clock: systemClock }),
    access,
    registered: new Wakeup(),
    onUnknownCredential: async () => undefined,
    serve: (connection) => serveTunnel(connection, createDispatcher({ routes: [], access, onBug: () => undefined })),
    clock: systemClock,
    random: systemRandom,
    log,
  });
  stopper.spawn(name, (signal) => tunnel.run(signal));
}

async function cpuPercent(pid: number): Promise<number> {
  const before = usageOf(pid).ticks;
  await systemClock.sleep(IDLE_MS, SIGNAL);
  return ((usageOf(pid).ticks - before) * 1000) / IDLE_MS;
}

async function countTunnels(client: CaraClient): Promise<number> {
  const probes = await Promise.all([0, AGENTS - 1].map(async (index) => (await client.measureLink(nameOf(index), SIGNAL)).path));
  return probes.filter((path) => path === 'tunnel').length;
}

export async function run(): Promise<void> {
  const figures: Figure[] = [];
  await using server = await kept(startServer({ env: { NODE_HEARTBEAT_TIMEOUT: '1h' } }));
  const transport = createTransport({ serverUrl: server.url, userAgent: 'bench', clock: systemClock, fetch: httpFetch });
  const client = createCaraClient(transport);
  const stopper = new Stopper((name, error) => process.stderr.write(`${name}: ${String(error)}\n`));
  const credentials: string[] = [];
  await eachOf(AGENTS, async (index) => {
    const { agentCredential = '' } = await client.registerNode(nameOf(index), {}, SIGNAL);
    await client.sendHeartbeat(nameOf(index), {}, SIGNAL);
    credentials[index] = agentCredential;
  });
  await systemClock.sleep(SETTLE_MS, SIGNAL);
  const without = { ...usageOf(server.pid), cpu: await cpuPercent(server.pid) };
  try {
    await eachOf(AGENTS, async (index) => {
      keepTunnel(nameOf(index), credentials[index] ?? '', { serverUrl: server.url, stopper });
      await systemClock.sleep(20, SIGNAL);
    });
    await until(async () => (await countTunnels(client)) === 2, { what: 'the tunnels', timeoutMs: 60_000 });
    await systemClock.sleep(SETTLE_MS, SIGNAL);
    const cpu = await cpuPercent(server.pid);
    const idle = usageOf(server.pid);
    figures.push(tell(`server_memory_${AGENTS}_nodes`, without.megabytes, 'MB'));
    figures.push(tell(`server_memory_${AGENTS}_idle_tunnels`, idle.megabytes, 'MB', without.megabytes));
    figures.push(tell('server_memory_per_idle_tunnel', ((idle.megabytes - without.megabytes) * 1000) / AGENTS, 'kB'));
    figures.push(tell(`server_cpu_${AGENTS}_idle_tunnels`, cpu, '% of a core', without.cpu));
    await eachOf(USED, async (index) => void (await client.measureLink(nameOf(index), SIGNAL)));
    await systemClock.sleep(SETTLE_MS, SIGNAL);
    figures.push(tell('server_memory_per_used_tunnel', ((usageOf(server.pid).megabytes - idle.megabytes) * 1000) / USED, 'kB'));
  } finally {
    await stopper.stop();
  }
  printTable(figures);
}
