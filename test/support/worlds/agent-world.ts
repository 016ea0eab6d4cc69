/**
 * A real server and a real agent in this process, over HTTP on loopback, with a fake engine on its socket.
 *
 * Owns     all three, their folders and the agent's log; `await using` ends everything.
 */
import path from 'node:path';
import { pino } from 'pino';
import { until } from '../../../scripts/lib/wait.ts';
import { agentSettings } from '../../../src/agent/config.ts';
import { startAgent, type RunningAgent } from '../../../src/agent/main.ts';
import { readBootClock } from '../../../src/base/boot-clock.ts';
import { systemClock, type Clock } from '../../../src/base/clock.ts';
import { loadConfig } from '../../../src/base/config.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createCaraClient, type CaraClient } from '../../../src/client/cara-client.ts';
import { createHttpFetch } from '../../../src/client/http-fetch.ts';
import { createTransport, type FetchFunction } from '../../../src/client/transport.ts';
import { createTrust } from '../../../src/client/trust.ts';
import { serverSettings } from '../../../src/server/config.ts';
import { startServer, type RunningServer } from '../../../src/server/main.ts';
import { startFakeDocker, type FakeDocker } from '../engines/fake-docker.ts';
import { NO_SURROUNDINGS } from '../programs/programs.ts';
import { makeScratch } from '../scratch.ts';

export interface AgentWorldOptions {
  readonly heartbeatInterval?: string;
  /** the server's; default 2s, the least */
  readonly heartbeatTimeout?: string;
  /** more settings of the agent */
  readonly agentEnv?: Readonly<Record<string, string>>;
  /** more settings of the server */
  readonly serverEnv?: Readonly<Record<string, string>>;
  /** how many times faster than ours the agent's time runs; default 1 */
  readonly agentSpeed?: number;
  /** the machine's boot, asked at each start of the agent; default: the real one */
  readonly bootId?: () => string;
  /** how far the agent's wall clock is ahead of ours, in milliseconds; asked anew each time */
  readonly agentWallAheadMs?: () => number;
}

export interface AgentWorld extends AsyncDisposable {
  readonly engine: FakeDocker;
  readonly client: CaraClient;
  readonly dataDir: string;
  readonly agentLog: readonly Readonly<Record<string, unknown>>[];
  agent(): RunningAgent;
  server(): RunningServer;
  /** what the server has shown a person */
  shown(): string;
  /** @param env more settings, before those of the world */
  startAgent(nodeName?: string, env?: Readonly<Record<string, string>>): Promise<RunningAgent>;
  stopAgent(): Promise<void>;
  /** On the port that it had before. `isFresh`: on an empty database, as after a loss. */
  startServer(options?: { readonly isFresh?: boolean }): Promise<void>;
  stopServer(): Promise<void>;
  until<T>(what: string, probe: () => T | undefined | false | Promise<T | undefined | false>): Promise<T>;
}

/** For calls whose end is bounded by the transport alone. */
export const FOREVER = new AbortController().signal;
const ports = { clock: systemClock, random: systemRandom };

/** Starts engine and server; the agent is for the test to start. */
export async function startAgentWorld(options: AgentWorldOptions = {}): Promise<AgentWorld> {
  const scratch = makeScratch();
  const engine = await startFakeDocker();
  const agentLog: Readonly<Record<string, unknown>>[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => void agentLog.push(JSON.parse(line)) });
  const dataDir = path.join(scratch.path, 'agent');
  let server: RunningServer | undefined;
  let agent: RunningAgent | undefined;
  let port = '0';
  let serverUrl = '';
  let shown = '';
  let database = 0;

  const world: Omit<AgentWorld, 'client'> = {
    engine,
    dataDir,
    agentLog,
    agent: () => agent ?? missing('agent'),
    server: () => server ?? missing('server'),
    shown: () => shown,
    startAgent: async (nodeName = 'worker-01', more = {}) => {
      const env = {
        SERVER_URL: serverUrl,
        NODE_NAME: nodeName,
        HEARTBEAT_INTERVAL: options.heartbeatInterval ?? '500ms',
        DOCKER_HOST: engine.host,
        AGENT_PORT: '0',
        DATA_DIR: dataDir,
        ...NO_SURROUNDINGS,
        ...options.agentEnv,
        ...more,
      };
      const config = loadConfig(agentSettings({ hostname: 'test', env: {}, isRoot: false }), { argv: [], env });
      const bootClock = options.bootId && { ...readBootClock(), bootId: options.bootId() };
      return (agent = await startAgent({ ...ports, clock: agentClock(options), config, log, ...(bootClock && { bootClock }) }));
    },
    stopAgent: async () => {
      await agent?.stop();
      agent = undefined;
    },
    startServer: async ({ isFresh = false } = {}) => {
      database += isFresh ? 1 : 0;
      const env = {
        PORT: port,
        DATA_DIR: path.join(scratch.path, `server-${database}`),
        NODE_HEARTBEAT_TIMEOUT: options.heartbeatTimeout ?? '2s',
        ...options.serverEnv,
      };
      const config = loadConfig(serverSettings({ env: {}, isRoot: false }), { argv: [], env });
      server = await startServer({ ...ports, config, log: pino({ level: 'silent' }), tell: (text) => void (shown += text) });
      serverUrl = server.url;
      port = new URL(server.url).port;
    },
    stopServer: async () => {
      await server?.stop();
      server = undefined;
    },
    until: async (what, probe) => await until(probe, { what, timeoutMs: 60_000, intervalMs: 20 }),
    [Symbol.asyncDispose]: async () => {
      await world.stopAgent();
      await world.stopServer();
      await engine[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
  await world.startServer();
  const token = /cara_t\S+/u.exec(shown)?.[0]; // the first is an admin's
  const target = { serverUrl, ...(token !== undefined && { token }) };
  const transport = createTransport({ ...target, userAgent: 'test', clock: systemClock, ...trustIn(shown) });
  return { ...world, client: createCaraClient(transport) };
}

/** A network that believes the authority whose fingerprint was shown, where one was. */
function trustIn(shown: string): { readonly fetch?: FetchFunction } {
  const fingerprint = /sha256:[0-9a-f]{64}/u.exec(shown)?.[0];
  const nothing = { load: () => Promise.resolve(undefined), save: () => Promise.resolve() };
  return fingerprint === undefined ? {} : { fetch: createHttpFetch(createTrust({ fingerprint, setting: 'the test', ...nothing })) };
}

function agentClock({ agentSpeed: speed = 1, agentWallAheadMs = () => 0 }: AgentWorldOptions): Clock {
  return {
    monotonicMs: () => systemClock.monotonicMs() * speed,
    wallMs: () => systemClock.wallMs() + agentWallAheadMs(),
    sleep: async (ms, signal) => await systemClock.sleep(ms / speed, signal),
  };
}

function missing(what: string): never {
  throw new Error(`Cannot use the ${what} as it is not running`);
}
