/**
 * Failure detection: how late after its timeout a silent node is told to be NotReady, for the slowest of the fleet, to a watcher over
 * HTTP in a process of its own. With one node, with all falling silent at one instant (as when the network in front of a server goes
 * that was just restarted), and spread over a heartbeat interval (as in life), in memory and on SQLite. And what a bare server and the same
 * watcher need for so many lines.
 *
 * `node bench/run.ts detection`; NODES=1000 for a small fleet.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { Heartbeat, NodeObject } from '../src/api/node.ts';
import { systemClock } from '../src/base/clock.ts';
import { loadConfig } from '../src/base/config.ts';
import { systemRandom } from '../src/base/random.ts';
import { serverSettings } from '../src/server/config.ts';
import { startServer, type RunningServer } from '../src/server/main.ts';
import { deriveNodeStatus } from '../src/server/nodes/node-state.ts';
import { createMemoryStore } from '../src/store/memory-store.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Draft, Store } from '../src/store/store.ts';
import { nodeOf } from '../test/support/objects/resources.ts';
import { printTable, tell, type Figure } from './figures.ts';
import { reportOf } from './fleet-agents.ts';
import { monotonicMs, type Watched } from './detection-report.ts';

const FLEET = Number(process.env['NODES'] ?? 100_000);
const SPREAD_MS = 30_000; // the default heartbeat interval
const SEED_BATCH = 5000;
const SLICE_MS = 10;
const BARE_LINES = 32; // in a write, as a watch takes them
const PROMISED_MS = 1000; // the reference: NotReady within a second of the timeout
const log = pino({ level: 'silent' });

interface Scenario {
  readonly name: string;
  readonly backend: 'memory' | 'sqlite';
  readonly nodes: number;
  /** over how long the last heartbeats are spread */
  readonly spreadMs: number;
}

const SCENARIOS: readonly Scenario[] = (['memory', 'sqlite'] as const).flatMap((backend) => [
  { name: 'one', backend, nodes: 1, spreadMs: 0 },
  { name: 'spread', backend, nodes: FLEET, spreadMs: SPREAD_MS },
  { name: 'at_once', backend, nodes: FLEET, spreadMs: 0 },
]);

function readyNode(index: number, timeoutMs: number): Draft<NodeObject> {
  const node = nodeOf(`node-${index}`, { labels: { 'caravanserai.io/zone': `zone-${index % 10}` } });
  const now = node.metadata.createdAt;
  const facts = { name: node.metadata.name, spec: node.spec, lease: 'Live', leaseMs: timeoutMs, lastHeartbeat: now, now } as const;
  return { ...node, status: deriveNodeStatus({ ...facts, report: reportOf(index), previous: undefined }) };
}

/** A fleet that is Ready. */
async function seed(store: Store, count: number, timeoutMs: number): Promise<void> {
  for (let start = 0; start < count; start += SEED_BATCH) {
    const drafts = Array.from({ length: Math.min(SEED_BATCH, count - start) }, (_, offset) => readyNode(start + offset, timeoutMs));
    await store.commit(drafts.map((object) => ({ op: 'create', object })));
  }
}

async function openStore(backend: Scenario['backend'], folder: string): Promise<Store> {
  return backend === 'memory'
    ? createMemoryStore({ clock: systemClock })
    : await createSqliteStore({ path: path.join(folder, 'cara.db'), clock: systemClock, log });
}

/** @returns node name -> when its lease runs out, as monotonicMs */
async function beatLast(server: RunningServer, { nodes, spreadMs }: Scenario, timeoutMs: number): Promise<Map<string, number>> {
  const texts = Array.from({ length: nodes }, (_, index) => JSON.stringify(reportOf(index)));
  const beat = (index: number): void =>
    void server.registry.recordHeartbeat(`node-${index}`, texts[index] ?? '', (text) => JSON.parse(text) as Heartbeat);
  texts.forEach((_, index) => beat(index)); // the first costs more: it is news
  await delay(1000);
  const deadlines = new Map<string, number>();
  const startedMs = performance.now();
  for (let index = 0; index < nodes;) {
    const share = spreadMs === 0 ? 1 : (performance.now() - startedMs) / spreadMs;
    for (; index < Math.min(nodes, Math.ceil(share * nodes)); index += 1) {
      deadlines.set(`node-${index}`, monotonicMs() + timeoutMs);
      beat(index);
    }
    if (spreadMs > 0) {
      await delay(SLICE_MS);
    }
  }
  return deadlines;
}

/** Starts the watcher. Resolves when it watches, with what it will have seen. */
async function watch(server: Pick<RunningServer, 'url'>, version: number, nodes: number): Promise<{ readonly seen: Promise<Watched> }> {
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, 'detection-watcher.ts'), server.url, String(version), String(nodes)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const seen = (async () => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      if (line.value.startsWith('{')) {
        return JSON.parse(line.value) as Watched;
      }
    }
    throw new Error('the watcher ended early');
  })();
  return { seen };
}

/** @returns when a reader first sees it, as monotonicMs */
async function readUntilNotReady(server: RunningServer, name: string, timeoutMs: number): Promise<number> {
  await delay(timeoutMs - 500); // a reader that asks all the time would be a load of its own
  for (;;) {
    const node = (await server.app.inject({ url: `/api/v1/nodes/${name}` })).json<NodeObject>();
    if (node.status.state === 'NotReady') {
      return monotonicMs();
    }
    await delay(5);
  }
}

/**
 * What no server does better, whatever it keeps and decides: the same lines, each written down when its turn comes and sent as a watch
 * sends them, from a bare node:http server to the same watcher, which has to read them.
 */
async function measureBare(nodes: number): Promise<readonly Figure[]> {
  const drafts = Array.from({ length: nodes }, (_, index) => readyNode(index, 5000));
  const objects = drafts.map((node) => ({ ...node, status: { ...node.status, state: 'NotReady' } }));
  const started = Promise.withResolvers<ServerResponse>();
  const server = createServer((_, response) => {
    response.flushHeaders();
    started.resolve(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { seen } = await watch({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, 0, nodes);
  const response = await started.promise;
  const startedMs = monotonicMs();
  const cpu = process.cpuUsage();
  for (let begin = 0; begin < nodes; begin += BARE_LINES) {
    const lines = objects.slice(begin, begin + BARE_LINES).map((object) => `${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    if (!response.write(lines.join(''))) {
      await once(response, 'drain');
    }
  }
  const { user, system } = process.cpuUsage(cpu);
  const { toldAtMs } = await seen;
  response.destroy();
  server.close();
  return [
    tell(
      'detection_bare_server_slowest',
      Object.values(toldAtMs).reduce((latest, atMs) => Math.max(latest, atMs), 0) - startedMs,
      'ms',
      PROMISED_MS,
    ),
    tell('detection_bare_server_cpu', (user + system) / 1000, 'ms'),
  ];
}

async function measure(scenario: Scenario): Promise<readonly Figure[]> {
  const { name, backend, nodes, spreadMs } = scenario;
  const folder = mkdtempSync(path.join(tmpdir(), 'cara-bench-'));
  const store = await openStore(backend, folder);
  const timeoutMs = spreadMs + 5000;
  await seed(store, nodes, timeoutMs);
  const env = { PORT: '0', NODE_HEARTBEAT_TIMEOUT: `${timeoutMs}ms`, DATA_DIR: folder };
  const config = loadConfig(serverSettings({ env: {}, isRoot: false }), { argv: [], env });
  const server = await startServer({ config, clock: systemClock, random: systemRandom, log, store });
  try {
    const { seen } = await watch(server, await store.version(), nodes);
    const deadlines = await beatLast(server, scenario, timeoutMs);
    const turns = monitorEventLoopDelay({ resolution: 1 });
    turns.enable();
    const cpu = process.cpuUsage();
    const lastReadMs = await readUntilNotReady(server, `node-${nodes - 1}`, timeoutMs);
    const { toldAtMs, relists } = await seen;
    turns.disable();
    const { user, system } = process.cpuUsage(cpu);
    const lateMs = [...deadlines].map(([node, deadlineMs]) => (toldAtMs[node] ?? Infinity) - deadlineMs).toSorted((a, b) => a - b);
    const prefix = `detection_${backend}_${name}`;
    return [
      tell(`${prefix}_slowest`, lateMs.at(-1) ?? Number.NaN, 'ms', PROMISED_MS),
      tell(`${prefix}_median`, lateMs[lateMs.length >> 1] ?? Number.NaN, 'ms'),
      tell(`${prefix}_earliest`, lateMs[0] ?? Number.NaN, 'ms'),
      tell(`${prefix}_last_read`, lastReadMs - (deadlines.get(`node-${nodes - 1}`) ?? Number.NaN), 'ms', PROMISED_MS), // who asks, instead of watching
      tell(`${prefix}_longest_turn`, turns.max / 1e6, 'ms'), // nothing else is answered meanwhile
      tell(`${prefix}_cpu`, (user + system) / 1000, 'ms'), // of the server's process: what the slowest waits for on an idle machine, about
      ...(nodes > 1 ? [tell(`${prefix}_relists`, relists, 'lists')] : []),
    ];
  } finally {
    await server.stop();
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

export async function run(): Promise<void> {
  const only = process.env['ONLY'];
  const figures: Figure[] = only === undefined || only === 'bare' ? [...(await measureBare(FLEET))] : [];
  for (const scenario of SCENARIOS.filter(({ backend, name }) => only === undefined || only === `${backend}_${name}`)) {
    figures.push(...(await measure(scenario)));
  }
  printTable(figures);
}
