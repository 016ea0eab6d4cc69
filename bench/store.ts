/**
 * The store: durable writes a second by number of clients, on SQLite and on PostgreSQL, beside the bare engine writing the same rows in the
 * same groups; the start of a server with 100,000 nodes and 100,000 Projects; how soon 1,000 and 10,000 watchers hear of a change.
 *
 * `node bench/run.ts store`; OBJECTS=1000 for a small fleet, SECONDS=1 for less of each, ONLY=writes (or start, fanout) for a part.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import pg from 'pg';
import { systemClock } from '../src/base/clock.ts';
import { loadConfig } from '../src/base/config.ts';
import { systemRandom } from '../src/base/random.ts';
import { serverSettings } from '../src/server/config.ts';
import { startServer } from '../src/server/main.ts';
import { createMemoryStore } from '../src/store/memory-store.ts';
import { openStore } from '../src/store/open-store.ts';
import type { Store } from '../src/store/store.ts';
import { NO_POSTGRES, startPostgres } from '../test/support/stores/postgres.ts';
import { nodeOf, projectOf } from '../test/support/objects/resources.ts';
import { median, printTable, tell, type Figure } from './figures.ts';
import { kept, undoWhenBrokenOff } from './kept.ts';
import { monotonicMs } from './detection-report.ts';

const CLIENTS = [1, 8, 64, 512];
const OBJECTS = Number(process.env['OBJECTS'] ?? 100_000);
const RUN_MS = Number(process.env['SECONDS'] ?? 3) * 1000;
const START_MS = 2000; // the reference: serving within two seconds
const CHANGES = 20;
const log = pino({ level: 'silent' });
const deps = { clock: systemClock, log };

/** Each client writes one object after the other, waiting for each. @returns commits a second */
async function measureWrites(store: Store, clients: number): Promise<number> {
  const startedMs = monotonicMs();
  let commits = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let step = 0; monotonicMs() - startedMs < RUN_MS; step += 1) {
        await store.commit([{ op: 'create', object: projectOf(`p-${clients}-${client}-${step}`) }]);
        commits += 1;
      }
    }),
  );
  return (commits * 1000) / (monotonicMs() - startedMs);
}

const DOCUMENT = JSON.stringify(projectOf('p-64-32-1000'));

/** Rows a second, `group` of them in a transaction: an object and the change that made it, as the store writes them. */
function measureBareSqlite(folder: string, group: number): number {
  const database = new DatabaseSync(path.join(folder, `bare-${group}.db`));
  database.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE');
  database.exec('CREATE TABLE objects (kind TEXT, name TEXT, uid TEXT, version INTEGER, document TEXT, PRIMARY KEY (kind, name)) STRICT');
  database.exec('CREATE TABLE changes (version INTEGER PRIMARY KEY, kind TEXT, name TEXT, type TEXT) STRICT');
  const insert = database.prepare('INSERT INTO objects VALUES (?, ?, ?, ?, ?)');
  const record = database.prepare('INSERT INTO changes VALUES (?, ?, ?, ?)');
  const startedMs = monotonicMs();
  let rows = 0;
  while (monotonicMs() - startedMs < RUN_MS) {
    database.exec('BEGIN IMMEDIATE');
    for (let index = 0; index < group; index += 1) {
      rows += 1;
      insert.run('Project', `p-${rows}`, `uid-${rows}`, rows, DOCUMENT);
      record.run(rows, 'Project', `p-${rows}`, 'ADDED');
    }
    database.exec('COMMIT');
  }
  const rate = (rows * 1000) / (monotonicMs() - startedMs);
  database.close();
  return rate;
}

async function measureBarePostgres(url: string, group: number): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('DROP TABLE IF EXISTS bare; CREATE TABLE bare (name text PRIMARY KEY, version bigint, document json)');
  const startedMs = monotonicMs();
  let rows = 0;
  while (monotonicMs() - startedMs < RUN_MS) {
    const names = Array.from({ length: group }, (_, index) => `p-${rows + index}`);
    await client.query({
      name: 'insert',
      text: 'INSERT INTO bare SELECT name, 1, $2::json FROM unnest($1::text[]) AS n (name)',
      values: [names, DOCUMENT],
    });
    rows += group;
  }
  const rate = (rows * 1000) / (monotonicMs() - startedMs);
  await client.end();
  return rate;
}

async function benchWrites(folder: string): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const clients of CLIENTS) {
    const store = await openStore(`sqlite:${path.join(folder, `writes-${clients}.db`)}`, deps);
    const rate = await measureWrites(store, clients);
    await store.close();
    figures.push(tell(`store_sqlite_writes_${clients}_clients`, rate, 'commits/s', measureBareSqlite(folder, clients)));
  }
  if (NO_POSTGRES !== false) {
    process.stderr.write(`nothing of PostgreSQL: ${NO_POSTGRES}\n`);
    return figures;
  }
  await using postgres = await kept(startPostgres({ isDurable: true }));
  for (const clients of CLIENTS) {
    const store = await openStore(await postgres.createDatabase(), deps);
    const rate = await measureWrites(store, clients);
    await store.close();
    figures.push(
      tell(
        `store_postgres_writes_${clients}_clients`,
        rate,
        'commits/s',
        await measureBarePostgres(await postgres.createDatabase(), clients),
      ),
    );
  }
  return figures;
}

/** From nothing to serving, in a process of its own. */
async function benchStart(folder: string): Promise<readonly Figure[]> {
  const dataDir = path.join(folder, 'start');
  const prepared = await openStore(`sqlite:${path.join(dataDir, 'cara.db')}`, deps);
  for (let begin = 0; begin < OBJECTS; begin += 5000) {
    const size = Math.min(5000, OBJECTS - begin);
    const nodes = Array.from({ length: size }, (_, index) => nodeOf(`node-${begin + index}`));
    const projects = Array.from({ length: size }, (_, index) =>
      projectOf(`project-${begin + index}`, { status: { phase: 'Running', nodeRef: `node-${begin + index}`, assignment: 1 } }),
    );
    await prepared.commit([...nodes, ...projects].map((object) => ({ op: 'create', object })));
  }
  await prepared.close();
  const settling = await startProgram(dataDir);
  for (let before = -1, version = 0; version !== before;) {
    await delay(2000); // what the controllers have to say of what was made up here is written once, and not at each start
    const list = (await (await fetch(`${settling.url}/api/v1/projects?limit=1`)).json()) as { metadata: { resourceVersion: string } };
    [before, version] = [version, Number(list.metadata.resourceVersion)];
  }
  settling.child.kill('SIGTERM');
  await once(settling.child, 'exit');
  const startedMs = monotonicMs();
  const { child } = await startProgram(dataDir);
  const tookMs = monotonicMs() - startedMs;
  const [, fields = ''] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ');
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number);
  child.kill('SIGKILL');
  const name = `store_start_with_${OBJECTS}_nodes_and_projects`;
  return [tell(name, tookMs, 'ms', START_MS), tell(`${name}_cpu`, (user + system) * 10, 'ms')]; // clock ticks of 10 ms
}

async function startProgram(dataDir: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(path.join(import.meta.dirname, '../bin/cara-server'), [], {
    env: { ...process.env, DATA_DIR: dataDir, PORT: '0', LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  undoWhenBrokenOff(() => child.kill('SIGKILL'));
  const listening = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { msg, url } = JSON.parse(line) as { msg: string; url: string };
    if (msg === 'server listening') {
      listening.resolve(url);
    }
  });
  return { child, url: await listening.promise };
}

async function benchFanOut(folder: string, watchers: number): Promise<readonly Figure[]> {
  const store = createMemoryStore({ clock: systemClock });
  await store.commit([{ op: 'create', object: nodeOf('worker-01') }]);
  const config = loadConfig(serverSettings({ env: {}, isRoot: false }), { argv: [], env: { PORT: '0', DATA_DIR: folder } });
  const server = await startServer({ config, clock: systemClock, random: systemRandom, log, store });
  const { hostname, port } = new URL(server.url);
  const before = process.memoryUsage().rss;
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, 'store-watchers.ts'), hostname, port, String(watchers), String(await store.version())],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const memory = process.memoryUsage().rss - before;
  const delays: { first: number; last: number }[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const node = await store.get('Node', 'worker-01');
    if (node === undefined) {
      throw new Error('it is gone');
    }
    const startedMs = monotonicMs();
    await store.commit([{ op: 'update', object: { ...node, metadata: { ...node.metadata, labels: { change: String(change) } } } }]);
    const line = await lines.next();
    const { firstMs, lastMs } = JSON.parse(String(line.value)) as { firstMs: number; lastMs: number };
    delays.push({ first: firstMs - startedMs, last: lastMs - startedMs });
  }
  child.kill('SIGKILL');
  await server.stop();
  await store.close();
  return [
    tell(`store_fan_out_${watchers}_watchers_first`, median(delays.map(({ first }) => first)), 'ms'),
    tell(`store_fan_out_${watchers}_watchers_last`, median(delays.map(({ last }) => last)), 'ms'),
    tell(`store_fan_out_${watchers}_watchers_memory_each`, memory / watchers / 1024, 'KiB'),
  ];
}

const PARTS: Readonly<Record<string, (folder: string) => Promise<readonly Figure[]>>> = {
  writes: benchWrites,
  start: benchStart,
  fanout: async (folder) => [...(await benchFanOut(folder, 1000)), ...(await benchFanOut(folder, 10_000))],
};

export async function run(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'cara-bench-'));
  const only = process.env['ONLY'];
  const figures: Figure[] = [];
  undoWhenBrokenOff(() => rmSync(folder, { recursive: true, force: true }));
  try {
    for (const [name, bench] of Object.entries(PARTS)) {
      figures.push(...(only === undefined || only === name ? await bench(folder) : []));
    }
    printTable(figures);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
