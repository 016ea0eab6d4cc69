/**
 * Placement: Projects a second from Pending to the stored binding. The scheduler alone, which knows the fleet and hears of all the Projects
 * at once, on the memory store with fleets of 100 to 100,000 nodes (what one costs must not grow with the fleet) and on SQLite with 10,000;
 * then a whole server on SQLite, with its Events, controllers and a log, taking in Projects while it places them. Each beside the CPU time of
 * the process, as a busy machine says little by the clock.
 *
 * `node bench/run.ts placement`; PROJECTS=2000 for less, ONLY=sqlite_10000 for one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import type { NodeObject } from '../src/api/node.ts';
import type { ProjectObject } from '../src/api/project.ts';
import { systemClock } from '../src/base/clock.ts';
import { loadConfig } from '../src/base/config.ts';
import { systemRandom } from '../src/base/random.ts';
import { serverSettings } from '../src/server/config.ts';
import { startServer } from '../src/server/main.ts';
import { initialStatus } from '../src/server/projects/project-status.ts';
import { createScheduler } from '../src/server/scheduler/scheduler.ts';
import { createMemoryStore } from '../src/store/memory-store.ts';
import { createMirror, type Mirror } from '../src/store/mirror.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../src/store/store.ts';
import { EPOCH, nodeOf, projectOf } from '../test/support/objects/resources.ts';
import { monotonicMs } from './detection-report.ts';
import { printTable, tell, type Figure } from './figures.ts';

/** Near a second of what is aimed at: of 20,000, one collection of garbage decided on a tenth. 48,000 and the warm-up fill 100 nodes. */
const PROJECTS = Number(process.env['PROJECTS'] ?? 40_000);
/** placed before the measuring begins: a server that places thousands a second has been doing so for a moment */
const WARM_UP = PROJECTS / 4;
const SEED_BATCH = 5000;
const ARRIVALS = 256; // Projects a commit, of those that come while others are placed
const TARGETS = { memory: 50_000, sqlite: 5000 } as const;
type Backend = keyof typeof TARGETS;

/** As a server logs, each line a write of its own. */
const log = pino({ level: 'info' }, pino.destination({ dest: '/dev/null', sync: true }));

/** Every third asks for nothing, the others for something that always fits somewhere. */
function pendingProject(index: number): ProjectObject {
  const requests = index % 3 === 0 ? {} : { requests: { cpu: '10m', memory: '16Mi' } };
  return projectOf(`project-${index}`, { ...requests, status: initialStatus(EPOCH) });
}

async function create(store: Store, objects: readonly (NodeObject | ProjectObject)[], size: number): Promise<void> {
  for (let begin = 0; begin < objects.length; begin += size) {
    await store.commit(objects.slice(begin, begin + size).map((object) => ({ op: 'create', object })));
  }
}

function fleetOf(count: number): readonly NodeObject[] {
  return Array.from({ length: count }, (_, index) => nodeOf(`node-${index}`, { labels: { 'caravanserai.io/zone': `zone-${index % 10}` } }));
}

function projectsOf(begin: number, count: number): readonly ProjectObject[] {
  return Array.from({ length: count }, (_, index) => pendingProject(begin + index));
}

async function openStore(backend: Backend, folder: string): Promise<Store> {
  return backend === 'memory'
    ? createMemoryStore({ clock: systemClock })
    : await createSqliteStore({ path: path.join(folder, 'cara.db'), clock: systemClock, log });
}

/** Resolves when so many Projects have a node, in all. */
function untilBound(projects: Mirror<ProjectObject>, wanted: number): Promise<void> {
  let bound = projects
    .items()
    .values()
    .filter(({ status }) => status.nodeRef !== undefined)
    .toArray().length;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = projects.onChange(({ object, previous }) => {
    if (object.status.nodeRef !== undefined && previous?.status.nodeRef === undefined && (bound += 1) === wanted) {
      stop();
      resolve();
    }
  });
  return promise;
}

/** @returns by the clock and by the processor, each for all of `work` */
async function timed(work: () => Promise<void>): Promise<{ readonly wallMs: number; readonly cpuMs: number }> {
  const startedMs = monotonicMs();
  const cpu = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: monotonicMs() - startedMs, cpuMs: (user + system) / 1000 };
}

function tellRate(name: string, target: number | null, { wallMs, cpuMs }: { readonly wallMs: number; readonly cpuMs: number }): Figure[] {
  return [
    tell(`${name}_rate`, (PROJECTS * 1000) / wallMs, 'projects/s', target),
    tell(`${name}_rate_by_cpu`, (PROJECTS * 1000) / cpuMs, 'projects/s', target),
    tell(`${name}_cpu`, (cpuMs * 1000) / PROJECTS, 'us'),
  ];
}

interface HeldMirror {
  readonly mirror: Mirror<ProjectObject>;
  readonly hold: () => void;
  /** Tells what was held, and from then on what changes. */
  readonly letThrough: () => void;
}

/** A mirror whose listeners hear of nothing while it is held. */
function holdable(mirror: Mirror<ProjectObject>): HeldMirror {
  const held: (() => void)[] = [];
  let isHeld = false;
  const onChange: Mirror<ProjectObject>['onChange'] = (listener) =>
    mirror.onChange((change) => (isHeld ? void held.push(() => listener(change)) : listener(change)));
  return {
    mirror: Object.create(mirror, { onChange: { value: onChange } }) as Mirror<ProjectObject>,
    hold: () => void (isHeld = true),
    letThrough: () => {
      isHeld = false;
      held.splice(0).forEach((tell) => tell());
    },
  };
}

/** The scheduler with its mirrors: it knows the fleet, and hears of all the Projects that wait at once. */
async function measureScheduler(backend: Backend, nodeCount: number, folder: string): Promise<Figure[]> {
  const store = await openStore(backend, folder);
  await create(store, fleetOf(nodeCount), SEED_BATCH);
  const base = { store, clock: systemClock, log };
  const nodes = createMirror<NodeObject>({ ...base, kind: 'Node' });
  const projects = createMirror<ProjectObject>({ ...base, kind: 'Project' });
  const stop = new AbortController();
  const mirrors = [nodes.run(stop.signal), projects.run(stop.signal)];
  await Promise.all([nodes.ready(), projects.ready()]);
  const { mirror, hold, letThrough } = holdable(projects);
  const running = createScheduler({ ...base, nodes, projects: mirror }).run(stop.signal);
  const arrive = async (begin: number, count: number): Promise<void> => {
    hold();
    await create(store, projectsOf(begin, count), SEED_BATCH);
    while (projects.items().size < begin + count) {
      await turn();
    }
  };
  const place = async (count: number): Promise<void> => {
    const isDone = untilBound(projects, count);
    letThrough();
    await isDone;
  };
  await arrive(0, WARM_UP);
  await place(WARM_UP);
  await arrive(WARM_UP, PROJECTS);
  const measured = await timed(() => place(WARM_UP + PROJECTS));
  stop.abort();
  await running.catch(() => undefined); // the abort
  await Promise.all(mirrors);
  await store.close();
  return tellRate(`placement_${backend}_${nodeCount}_nodes`, TARGETS[backend], measured);
}

/** All of a server: Projects come in, are placed and told of. What taking them in costs is in it. */
async function measureServer(backend: Backend, nodeCount: number, folder: string): Promise<Figure[]> {
  const store = await openStore(backend, folder);
  await create(store, fleetOf(nodeCount), SEED_BATCH);
  const config = loadConfig(serverSettings({ env: {}, isRoot: false }), {
    argv: [],
    env: { PORT: '0', DATA_DIR: folder, NODE_HEARTBEAT_TIMEOUT: '1h' },
  });
  const server = await startServer({ config, clock: systemClock, random: systemRandom, log, store });
  const projects = createMirror<ProjectObject>({ store, clock: systemClock, log, kind: 'Project' });
  const stop = new AbortController();
  const mirror = projects.run(stop.signal);
  const arrive = async (begin: number, count: number): Promise<void> => {
    const isDone = untilBound(projects, begin + count);
    await create(store, projectsOf(begin, count), ARRIVALS);
    await isDone;
  };
  await arrive(0, WARM_UP);
  const measured = await timed(() => arrive(WARM_UP, PROJECTS));
  stop.abort();
  await mirror;
  await server.stop();
  await store.close();
  return tellRate(`placement_server_${backend}_${nodeCount}_nodes`, TARGETS[backend], measured);
}

const SCENARIOS: Readonly<Record<string, (folder: string) => Promise<Figure[]>>> = {
  memory_100: (folder) => measureScheduler('memory', 100, folder),
  memory_1000: (folder) => measureScheduler('memory', 1000, folder),
  memory_10000: (folder) => measureScheduler('memory', 10_000, folder),
  memory_100000: (folder) => measureScheduler('memory', 100_000, folder),
  sqlite_10000: (folder) => measureScheduler('sqlite', 10_000, folder),
  server_sqlite_10000: (folder) => measureServer('sqlite', 10_000, folder),
};

export async function run(): Promise<void> {
  const only = process.env['ONLY'];
  const figures: Figure[] = [];
  for (const [name, measure] of Object.entries(SCENARIOS)) {
    if (only === undefined || only === name) {
      const folder = mkdtempSync(path.join(tmpdir(), 'cara-bench-'));
      try {
        figures.push(...(await measure(folder)));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
  }
  printTable(figures);
}
