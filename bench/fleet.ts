/**
 * A fleet over real HTTP: what heartbeats cost a server on one core as the fleet grows, beside a bare node:http server that parses the same
 * JSON; what an idle node takes of its memory; what a reader waits; what is written to disk. The server is the real program, pinned to a
 * core, on SQLite; the agents are a process of their own on another core, and share keep-alive connections (64 of them), as a machine has
 * no ports for a million.
 *
 * `node bench/run.ts fleet`; FLEET=1000,10000,100000,1000000 for other sizes, ONLY=beats (or life, reconnect) for a part.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectList } from '../src/api/meta.ts';
import type { NodeObject } from '../src/api/node.ts';
import type { Program } from '../test/support/programs/programs.ts';
import { makeScratch } from '../test/support/scratch.ts';
import { printTable, tell, type Figure } from './figures.ts';
import { CAN_PIN, startBare, startFleet, startPinned, type Fleet, type Server } from './fleet-parts.ts';
import type { Outcome } from './fleet-load.ts';
import { benchReconnect } from './fleet-reconnect.ts';
import { cpuMs, writtenBytes } from './process-usage.ts';

const SIZES = (process.env['FLEET'] ?? '1000,10000,100000').split(',').map(Number);
const CONNECTIONS = 64;
const RUN_SECONDS = Number(process.env['SECONDS'] ?? 4);
const PACED_SECONDS = 2.5 * RUN_SECONDS; // of a shorter run one pause of 50 ms would be all that the 99th percentile says
const WARM_UP_SECONDS = 2;
const TARGET_PER_SECOND = 33_000; // a million nodes at 30 s
const TARGET_P99_MS = 25;
const TARGET_NODE_KIB = 2;
const LEAST_BEFORE = 10_000; // nodes; from then on change log and Events are as large as they get
const QUIET_MS = 2500; // longer than a commit takes on a busy disk

const EVERYDAY_NODES = 10_000;
const EVERYDAY_BEATS = 333; // a second: 10,000 nodes at 30 s
const BUSY_NODES = 1000; // each with a Project, and a watch for more
const READS = 200; // a second
const REPORTS = 20; // a second
const TARGET_READ_MS = 10;

/** Until nothing is written any more. */
async function settle({ program }: Server): Promise<void> {
  const read = async (): Promise<string> => {
    const list = (await (await fetch(`${program.url}/api/v1/nodes?limit=1`)).json()) as ObjectList<NodeObject>;
    return list.metadata.resourceVersion;
  };
  for (let [before, now] = ['', await read()]; now !== before;) {
    await delay(QUIET_MS);
    [before, now] = [now, await read()];
  }
}

interface Cost {
  readonly perSecond: number;
  /** CPU time of the server */
  readonly microseconds: number;
}

type Target = Pick<Program, 'pid'> & Pick<Server, 'port'>;

/** As many beats as it takes. */
async function measureMost(fleet: Fleet, { pid, port }: Target, nodes: number, saying: 'beat' | 'unusualBeat' = 'beat'): Promise<Cost> {
  const job = { port, saying, from: 0, to: nodes, connections: CONNECTIONS };
  await fleet.act({ ...job, seconds: 1 });
  const before = cpuMs(pid);
  const { count, perSecond } = await fleet.act({ ...job, seconds: RUN_SECONDS });
  return { perSecond, microseconds: ((cpuMs(pid) - before) * 1000) / count };
}

/** The latencies of beats at the pace that we want to be able to keep. */
async function measurePaced(fleet: Fleet, { port }: Pick<Target, 'port'>, nodes: number): Promise<Outcome> {
  const job = { port, from: 0, to: nodes, connections: 4 * CONNECTIONS, perSecond: TARGET_PER_SECOND };
  return await fleet.act({ ...job, saying: 'beat', seconds: PACED_SECONDS, warmUpSeconds: WARM_UP_SECONDS });
}

async function grow(fleet: Fleet, server: Server, from: number, to: number): Promise<number> {
  const job = { port: server.port, from, to, connections: CONNECTIONS };
  const { perSecond } = await fleet.act({ ...job, saying: 'register' });
  await fleet.act({ ...job, saying: 'beat' });
  await settle(server);
  return perSecond;
}

async function benchBeats(): Promise<readonly Figure[]> {
  using fleet = startFleet();
  using bare = await startBare();
  using scratch = makeScratch();
  await using server = await startPinned(scratch.path, { NODE_HEARTBEAT_TIMEOUT: '1h' });
  const { pid } = server.program;
  const figures: Figure[] = [];
  const costs: number[] = [];
  let before = { nodes: 0, heap: 0, resident: 0 };
  for (const nodes of SIZES) {
    const registrations = await grow(fleet, server, before.nodes, nodes);
    const written = writtenBytes(pid);
    const target = { pid, port: server.port };
    const floor = await measureMost(fleet, bare, nodes); // each time anew: a machine is not the same from minute to minute
    const cost = await measureMost(fleet, target, nodes);
    const pacedFloor = await measurePaced(fleet, bare, nodes);
    const paced = await measurePaced(fleet, target, nodes);
    const writtenByBeats = writtenBytes(pid) - written;
    const { heapUsed, external, resident } = await server.measureMemory(); // last, as V8 collects more often for a while after it was made to
    const now = { nodes, heap: heapUsed + external, resident };
    const prefix = `fleet_${nodes}`;
    figures.push(
      tell(`${prefix}_registrations`, registrations, 'per s'),
      tell(`${prefix}_beats`, cost.perSecond, 'per s', floor.perSecond),
      tell(`${prefix}_beat_cpu`, cost.microseconds, 'us', floor.microseconds),
      tell(`${prefix}_beat_p50`, paced.p50Ms, 'ms'), // at TARGET_PER_SECOND
      tell(`${prefix}_beat_p99`, paced.p99Ms, 'ms', TARGET_P99_MS),
      tell(`${prefix}_bare_beat_p99`, pacedFloor.p99Ms, 'ms'), // what this machine gives anybody, at this minute
      tell(`${prefix}_beat_longest`, paced.longestMs, 'ms'),
      tell(`${prefix}_load_longest_pause`, paced.ownLongestMs, 'ms'), // of which the server is innocent
      tell(`${prefix}_bytes_written_by_beats`, writtenByBeats, 'bytes'),
      ...(before.nodes < LEAST_BEFORE ? [] : tellMemory(before, now)),
    );
    costs.push(cost.microseconds);
    before = now;
  }
  const unusual = await measureMost(fleet, { pid, port: server.port }, before.nodes, 'unusualBeat');
  figures.push(tell('fleet_beat_cpu_through_fastify', unusual.microseconds, 'us', costs.at(-1)));
  figures.push(tell('fleet_beat_cpu_largest_to_smallest', costs.at(-1) ?? Number.NaN, 'us', costs[0]));
  return figures;
}

interface Footprint {
  readonly nodes: number;
  /** bytes */
  readonly heap: number;
  readonly resident: number;
}

/** What each node of those that came in between takes: logs, caches and the program itself are there before the first. */
function tellMemory(before: Footprint, now: Footprint): readonly Figure[] {
  const kibEach = (bytes: number): number => bytes / (now.nodes - before.nodes) / 1024;
  return [
    tell(`fleet_${now.nodes}_memory_per_node`, kibEach(now.resident - before.resident), 'KiB', TARGET_NODE_KIB),
    tell(`fleet_${now.nodes}_heap_per_node`, kibEach(now.heap - before.heap), 'KiB'),
  ];
}

/** Ten thousand nodes in everyday life: beats, watches, reports, and somebody who reads. */
async function benchLife(): Promise<readonly Figure[]> {
  using fleet = startFleet();
  using scratch = makeScratch();
  await using server = await startPinned(scratch.path);
  const { port } = server;
  await grow(fleet, server, 0, EVERYDAY_NODES);
  const busy = { port, from: 0, to: BUSY_NODES, connections: CONNECTIONS };
  await fleet.act({ ...busy, saying: 'create' });
  await settle(server);
  await fleet.act({ ...busy, saying: 'watch' });
  const seconds = 2 * RUN_SECONDS;
  const everyone = { port, from: 0, to: EVERYDAY_NODES, connections: CONNECTIONS, seconds, warmUpSeconds: WARM_UP_SECONDS };
  const before = cpuMs(server.program.pid);
  const [beats, , reads] = await Promise.all([
    fleet.act({ ...everyone, saying: 'beat', perSecond: EVERYDAY_BEATS }),
    fleet.act({ ...everyone, saying: 'report', perSecond: REPORTS, to: BUSY_NODES }),
    fleet.act({ ...everyone, saying: 'read', perSecond: READS }),
  ]);
  const prefix = `fleet_life_${EVERYDAY_NODES}`;
  return [
    tell(`${prefix}_read_p50`, reads.p50Ms, 'ms'),
    tell(`${prefix}_read_p99`, reads.p99Ms, 'ms', TARGET_READ_MS),
    tell(`${prefix}_beat_p99`, beats.p99Ms, 'ms', TARGET_P99_MS),
    tell(`${prefix}_cpu`, (cpuMs(server.program.pid) - before) / (seconds + WARM_UP_SECONDS) / 10, '% of a core'),
  ];
}

const PARTS: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  beats: benchBeats,
  life: benchLife,
  reconnect: benchReconnect,
};

export async function run(): Promise<void> {
  const only = process.env['ONLY'];
  const figures: Figure[] = [];
  if (!CAN_PIN) {
    process.stderr.write('the server and its load share cores: no figure of this run is one of a core\n');
  }
  for (const [name, bench] of Object.entries(PARTS)) {
    figures.push(...(only === undefined || only === name ? await bench() : []));
  }
  printTable(figures);
}
