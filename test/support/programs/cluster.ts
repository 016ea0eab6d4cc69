/** Several cara-servers as real processes on one PostgreSQL, and light agents that only beat. */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { until } from '../../../scripts/lib/wait.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createCaraClient, type CaraClient } from '../../../src/client/cara-client.ts';
import { createTransport } from '../../../src/client/transport.ts';
import { findFreePort, startPostgres, type PostgresServer } from '../stores/postgres.ts';
import { startServer, type Program } from './programs.ts';
import { makeScratch } from '../scratch.ts';

export interface ClusterServer {
  readonly name: string;
  readonly url: string;
  /** its settings, for a command of cara-server beside it */
  readonly env: Readonly<Record<string, string>>;
  readonly process: () => Program;
  /** kill -9 */
  readonly kill: () => Promise<void>;
  /** on the same port and data folder */
  readonly start: () => Promise<void>;
}

export interface TestCluster extends AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly servers: readonly ClusterServer[];
  /** all URLs, apart by commas */
  readonly urls: string;
  /** a client that knows all servers, or that of one */
  client(urls?: string): CaraClient;
  /** Waits until one of the servers says that a living one leads. @param not one that is not meant */
  leader(not?: ClusterServer): Promise<ClusterServer>;
}

const KEY_FILE = 'secret.key';
const FOREVER = new AbortController().signal;

export async function startTestCluster(count: number, env: Readonly<Record<string, string>> = {}): Promise<TestCluster> {
  const scratch = makeScratch();
  const postgres = await startPostgres();
  const databaseUrl = await postgres.createDatabase();
  const servers: (ClusterServer & AsyncDisposable)[] = [];
  for (let index = 1; index <= count; index += 1) {
    const name = `s${index}`;
    const dataDir = path.join(scratch.path, name);
    mkdirSync(dataDir);
    const key = path.join(scratch.path, 's1', KEY_FILE);
    if (existsSync(key)) {
      copyFileSync(key, path.join(dataDir, KEY_FILE));
    }
    const port = await findFreePort();
    const settings = { DATABASE_URL: databaseUrl, SERVER_NAME: name, PORT: String(port), ...env };
    const start = (): Promise<Program> => startServer({ dataDir, env: settings });
    let program = await start();
    servers.push({
      name,
      url: program.url,
      env: { ...settings, DATA_DIR: dataDir },
      process: () => program,
      kill: async () => await program[Symbol.asyncDispose](),
      start: async () => {
        program = await start();
      },
      [Symbol.asyncDispose]: async () => await program[Symbol.asyncDispose](),
    });
  }
  const urls = servers.map(({ url }) => url).join(',');
  const client = (some = urls): CaraClient =>
    createCaraClient(createTransport({ serverUrl: some, userAgent: 'test', clock: systemClock, timeoutMs: 3_000 }));
  return {
    postgres,
    servers,
    urls,
    client,
    leader: async (not) =>
      await until(
        async () => {
          const { items } = await client(urls).servers.list(FOREVER);
          const url = items.find(({ status }) => status.role === 'Leader')?.status.url;
          return servers.find((server) => server.url === url && server !== not);
        },
        { what: 'a server to lead', timeoutMs: 20_000 },
      ),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      await postgres[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}
