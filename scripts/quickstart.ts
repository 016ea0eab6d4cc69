/**
 * npm run quickstart: Caravanserai on this machine, from nothing to a page.
 *
 * Owns     one folder, which it names, and everything it starts: recorded there before it matters, and gone at the end.
 * Never    touches an engine's containers other than its own Project's.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { systemClock } from '../src/base/clock.ts';
import { VERSION } from '../src/base/version.ts';
import { type CaraClient, createCaraClient } from '../src/client/cara-client.ts';
import { createTransport } from '../src/client/transport.ts';
import { ensureDockerInstalled } from './lib/engine-install.ts';
import { findEngine, startEngine } from './lib/engine.ts';
import { buildHelloImage, HELLO_IMAGE } from './lib/hello-image.ts';
import { type Interrupt, listenForInterrupt } from './lib/interrupt.ts';
import { findFreePort } from './lib/ports.ts';
import { until } from './lib/wait.ts';
import { followUntilRunning } from './quickstart/follow.ts';
import { type QuickstartOptions, readOptions, USAGE } from './quickstart/options.ts';
import { frame, htmlToText } from './quickstart/page.ts';
import { compileCache, ProgramFailure, readTail, ROOT, runCaractrl, type RunningProgram, startProgram } from './quickstart/programs.ts';
import { createScreen } from './quickstart/screen.ts';
import { engineDirOf, recover, removeTraces, StateFile } from './quickstart/state.ts';

const PROJECT = 'hello';
const PREFERRED = { api: 8080, agent: 9090, page: 8000 };
const DELETE_TIMEOUT_MS = 30_000;
const TAIL_LINES = 12;

const screen = createScreen(process.stdout, systemClock);

/** What runs so far. */
interface Cluster {
  readonly client: CaraClient;
  readonly programs: readonly RunningProgram[];
  readonly pageUrl: string;
}

async function quickstart({ dir, isOnce }: QuickstartOptions, signal: AbortSignal): Promise<void> {
  mkdirSync(dir, { recursive: true });
  screen.line(`${screen.paint('bold', `Caravanserai ${VERSION}`)}: everything of this run is in ${dir}`);
  await recover(dir, (line) => screen.line(line));
  const file = new StateFile(dir);
  let client: CaraClient | undefined;
  let isApplied = false;
  try {
    const cluster = await startCluster(dir, file, signal);
    client = cluster.client;
    const anyEnded = Promise.race(cluster.programs.map(({ ended }) => ended));
    isApplied = true;
    await Promise.race([runProject(cluster, { dir, file, signal }), anyEnded]);
    await showCluster(cluster, { dir, isOnce });
    if (!isOnce) {
      screen.line(`\nRunning until ${screen.paint('bold', 'Ctrl-C')}.`);
      await Promise.race([untilAborted(signal), anyEnded]);
    }
  } finally {
    await cleanUp({ dir, file, client: isApplied ? client : undefined });
  }
}

async function startCluster(dir: string, file: StateFile, signal: AbortSignal): Promise<Cluster> {
  const engineHost = await prepareEngine(dir, file);
  signal.throwIfAborted();
  const cacheDir = path.join(dir, 'cache');
  await screen.task(
    'Image',
    async () => await buildHelloImage({ engineHost, cacheDir }),
    () => `${HELLO_IMAGE}, built from examples/hello/image`,
  );
  signal.throwIfAborted();

  const port = await choosePort('the API', PREFERRED.api, '127.0.0.1');
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

  const agentPort = await choosePort('the agent', PREFERRED.agent, '127.0.0.1');
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
  const pagePort = await choosePort('the page', PREFERRED.page, '0.0.0.0');
  return { client, programs: [server, agent], pageUrl: `http://${engineHostname(engineHost)}:${pagePort}/` };
}

/** @returns DOCKER_HOST: the engine that answers, else one of our own */
async function prepareEngine(dir: string, file: StateFile): Promise<string> {
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

async function choosePort(what: string, preferred: number, host: string): Promise<number> {
  const port = await findFreePort(preferred, host);
  if (port !== preferred) {
    screen.line(`  Port ${preferred} is busy: ${what} takes ${port}`);
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

/** Applies the example and follows it until the page answers. */
async function runProject(
  { client, pageUrl, programs }: Cluster,
  { dir, file, signal }: { readonly dir: string; readonly file: StateFile; readonly signal: AbortSignal },
): Promise<void> {
  const manifest = writeManifest(dir, Number(new URL(pageUrl).port || 80));
  await screen.task(
    `Project ${PROJECT}`,
    async () => {
      const running = followUntilRunning(
        {
          client,
          clock: systemClock,
          name: PROJECT,
          onUid: (projectUid) => file.update({ projectUid }),
          onProgress: ({ phase, detail }, elapsedMs) =>
            screen.line(`  ${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${screen.paint('bold', phase.padEnd(10))} ${detail}`),
        },
        signal,
      );
      running.catch(() => undefined); // awaited below, but may fail before that
      screen.line(screen.paint('dim', `$ caractrl apply -f ${manifest}`));
      const applied = await runCaractrl(['apply', '-f', manifest], { dir, server: client.serverUrl });
      if (applied.code !== 0) {
        throw new Error(`Cannot apply ${manifest}: ${applied.stderr.trim()}`);
      }
      screen.line(applied.stdout.trimEnd());
      await running.catch((error: unknown) => {
        throw signal.aborted
          ? error
          : new ProgramFailure(error instanceof Error ? error.message : String(error), programs.at(-1)?.logFile ?? '');
      });
    },
    () => 'is Running',
  );
  const html = await screen.task(
    'Page',
    async () => await fetchPage(pageUrl, signal),
    () => pageUrl,
  );
  screen.line(`\n${frame(htmlToText(html))}\n`);
}

/** The example with the host port that is free here. @returns the copy's path */
function writeManifest(dir: string, hostPort: number): string {
  const document = parseDocument(readFileSync(path.join(ROOT, 'examples/hello/project.yaml'), 'utf8'));
  document.setIn(['spec', 'services', 1, 'ports', 0, 'hostPort'], hostPort);
  const target = path.join(dir, 'hello.yaml');
  writeFileSync(target, document.toString({ lineWidth: 0 }));
  return target;
}

async function fetchPage(url: string, signal: AbortSignal): Promise<string> {
  const look = async (): Promise<string> => {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) });
    const html = await response.text();
    if (response.status !== 200) {
      throw new Error(`status ${response.status}`);
    }
    return html;
  };
  return await until(look, { what: `the page at ${url}`, timeoutMs: 15_000, intervalMs: 200, signal });
}

async function showCluster({ client, pageUrl }: Cluster, { dir, isOnce }: QuickstartOptions): Promise<void> {
  const caractrl = path.relative(process.env['INIT_CWD'] ?? process.cwd(), path.join(ROOT, 'bin/caractrl'));
  for (const args of [
    ['get', 'nodes'],
    ['get', 'projects'],
  ]) {
    const { code, stdout, stderr } = await runCaractrl(args, { dir, server: client.serverUrl });
    if (code !== 0) {
      throw new Error(`Cannot run caractrl ${args.join(' ')}: ${stderr.trim()}`);
    }
    screen.line(`${screen.paint('dim', `$ caractrl ${args.join(' ')}`)}\n${stdout.trimEnd()}\n`);
  }
  const server = client.serverUrl === `http://127.0.0.1:${PREFERRED.api}` ? '' : ` --server ${client.serverUrl}`;
  screen.line(isOnce ? 'To try next, in a run without --once on a terminal:' : 'Try next, in another terminal:');
  screen.line(`  curl ${pageUrl}`);
  screen.line(`  ${caractrl}${server} describe project ${PROJECT}`);
  screen.line(`  ${caractrl}${server} delete project ${PROJECT}`);
}

/** Undoes everything, the kind way first: the Project is deleted through the API, so that the agent takes its containers down. */
async function cleanUp({
  dir,
  file,
  client,
}: {
  readonly dir: string;
  readonly file: StateFile;
  readonly client: CaraClient | undefined;
}): Promise<void> {
  screen.line();
  if (client !== undefined) {
    await screen
      .task(
        'Cleaning up',
        async () => await deleteProject(client),
        () => `project ${PROJECT} is gone`,
      )
      .catch(() => screen.line('  The Project could not be deleted through the API: removing its containers directly'));
  }
  await screen.task(
    'Cleaning up',
    async () => await removeTraces(dir, file.state),
    () => `all is stopped; logs stay in ${dir}`,
  );
}

async function deleteProject(client: CaraClient): Promise<void> {
  const signal = AbortSignal.timeout(DELETE_TIMEOUT_MS);
  if ((await client.projects.find(PROJECT, signal)) === undefined) {
    return; // the user has
  }
  await client.projects.delete(PROJECT, {}, signal);
  const isGone = async (): Promise<boolean> => (await client.projects.find(PROJECT, signal)) === undefined;
  await until(isGone, { what: 'the Project to be gone', timeoutMs: DELETE_TIMEOUT_MS });
}

function engineHostname(engineHost: string): string {
  return engineHost.startsWith('unix://') ? '127.0.0.1' : new URL(engineHost).hostname;
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) {
    resolve();
  }
  const keepAlive = new AbortController();
  systemClock.sleep(2 ** 31 - 1, keepAlive.signal).catch(() => undefined); // else nothing would keep this process
  await promise;
  keepAlive.abort();
}

/** @returns the exit code */
async function main(interrupt: Interrupt): Promise<number> {
  const defaults = {
    isTerminal: process.stdout.isTTY && process.stdin.isTTY,
    dir: path.join(ROOT, '.quickstart'),
    cwd: process.env['INIT_CWD'] ?? process.cwd(),
  };
  const options = readOptions(process.argv.slice(2), defaults);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  await quickstart(options, interrupt.signal);
  return options.isOnce && interrupt.signal.aborted ? interrupt.exitCode() : 0;
}

const interrupt = listenForInterrupt(() => process.exit(130));
try {
  process.exitCode = await main(interrupt);
} catch (error) {
  process.exitCode = interrupt.signal.aborted ? interrupt.exitCode() : 1;
  if (!interrupt.signal.aborted) {
    const tail = error instanceof ProgramFailure ? readTail(error.logFile, TAIL_LINES) : '';
    process.stderr.write(`\nerror: ${error instanceof Error ? error.message : String(error)}\n`);
    process.stderr.write(tail === '' ? '' : `Last lines of ${(error as ProgramFailure).logFile}:\n${tail.replace(/^/gmu, '  ')}\n`);
  }
}
