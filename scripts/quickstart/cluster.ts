/** Engine, image, server and agent of the quickstart. */
import path from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { VERSION } from '../../src/base/version.ts';
import { type CaraClient, createCaraClient } from '../../src/client/cara-client.ts';
import { createTransport } from '../../src/client/transport.ts';
import { ensureDockerInstalled } from '../lib/engine-install.ts';
import { findEngine, startEngine } from '../lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from '../lib/hello-image.ts';
import { findFreePort } from '../lib/ports.ts';
import { until } from '../lib/wait.ts';
import { compileCache, ProgramFailure, type RunningProgram, startProgram } from './programs.ts';
import type { Screen } from './screen.ts';
import { engineDirOf, type StateFile } from './state.ts';

/** What every part of the quickstart is given. */
export interface QuickstartContext {
  readonly dir: string;
  readonly file: StateFile;
  readonly screen: Screen;
  /** aborts on Ctrl-C, and when another part has failed */
  readonly signal: AbortSignal;
}

export const PREFERRED_PORTS = { api: 8080, agent: 9090, page: 8000 } as const;

/** What runs so far. */
export interface Cluster {
  readonly client: CaraClient;
  readonly programs: readonly RunningProgram[];
  readonly pageUrl: string;
}

/** Brings everything up, a line on the screen for each. @throws {Error} that says what failed */
export async function startCluster(context: QuickstartContext): Promise<Cluster> {
  const { dir, file, screen, signal } = context;
  const engineHost = await prepareEngine(context);
  signal.throwIfAborted();
  const cacheDir = path.join(dir, 'cache');
  await screen.task(
    'Image',
    async () => await buildHelloImage({ engineHost, cacheDir }),
    () => `${HELLO_IMAGE}, built from examples/hello/image`,
  );
  signal.throwIfAborted();

  const port = await choosePort(screen, 'api');
  const server = await screen.task(
    'cara-server',
    async () =>
      await startProgram({
        name: 'cara-server',
        logFile: path.join(dir, 'server.log'),
        env: { ...compileCache(dir), HOST: '127.0.0.1', PORT: String(port), DATA_DIR: path.join(dir, 'server') },
        readyMessage: 'server listening',
        onPid: (pid) => file.addProgram(pid, 'server'),
        signal,
      }),
    ({ url }) => `${url}, with SQLite in ${path.join(dir, 'server')}`,
  );
  const client = createCaraClient(createTransport({ serverUrl: server.url, userAgent: `quickstart/${VERSION}`, clock: systemClock }));

  const agentPort = await choosePort(screen, 'agent');
  const { agent } = await screen.task(
    'cara-agent',
    async () => {
      const started = await startProgram({
        name: 'cara-agent',
        logFile: path.join(dir, 'agent.log'),
        env: {
          ...compileCache(dir),
          SERVER_URL: server.url,
          DOCKER_HOST: engineHost,
          AGENT_HOST: '127.0.0.1',
          AGENT_PORT: String(agentPort),
          DATA_DIR: path.join(dir, 'agent'),
        },
        readyMessage: 'agent listening',
        onPid: (pid) => file.addProgram(pid, 'agent'),
        signal,
      });
      return { agent: started, node: await Promise.race([waitForNode(client, started.logFile, signal), started.ended, server.ended]) };
    },
    ({ node }) => `node ${node} is Ready`,
  );
  const pagePort = await choosePort(screen, 'page');
  return { client, programs: [server, agent], pageUrl: `http://${engineHostname(engineHost)}:${pagePort}/` };
}

/** @returns DOCKER_HOST: the engine that answers, else one of our own */
async function prepareEngine({ dir, file, screen }: QuickstartContext): Promise<string> {
  const { host } = await screen.task(
    'Docker engine',
    async (note) => {
      const found = await findEngine();
      if (found !== undefined) {
        return { host: found, isOurs: false };
      }
      await ensureDockerInstalled(note);
      const engine = await startEngine({ dir: engineDirOf(dir), logFile: path.join(dir, 'engine.log') });
      return { host: engine.host, isOurs: true };
    },
    ({ host: found, isOurs }) => (isOurs ? `none was running, so one for this run: ${found}` : found),
  );
  file.update({ engineHost: host });
  return host;
}

async function choosePort(screen: Screen, use: keyof typeof PREFERRED_PORTS): Promise<number> {
  const preferred = PREFERRED_PORTS[use];
  const port = await findFreePort(preferred, use === 'page' ? '0.0.0.0' : '127.0.0.1'); // the engine binds host ports everywhere
  if (port !== preferred) {
    screen.line(`  Port ${preferred} is busy: the ${use === 'api' ? 'API' : use} takes ${port}`);
  }
  return port;
}

async function waitForNode(client: CaraClient, logFile: string, signal: AbortSignal): Promise<string> {
  const look = async (): Promise<string | undefined> => {
    const { items } = await client.nodes.list({}, signal);
    return items.find(({ status }) => status.state === 'Ready')?.metadata.name;
  };
  return await until(look, { what: 'the node to be Ready', timeoutMs: 30_000, signal }).catch((error: unknown) => {
    throw signal.aborted ? error : new ProgramFailure(error instanceof Error ? error.message : String(error), logFile);
  });
}

function engineHostname(engineHost: string): string {
  return engineHost.startsWith('unix://') ? '127.0.0.1' : new URL(engineHost).hostname;
}
