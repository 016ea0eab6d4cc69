/**
 * cara-server, cara-agent and caractrl as real processes, started through bin/ as a user does.
 *
 * Owns     each process until it is stopped or disposed of, and a folder for its log (and its data, where the test gives none).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { inNetns } from '../../../scripts/lib/netns.ts';
import { lastLines, run, type RunResult } from '../../../scripts/lib/run.ts';
import { until } from '../../../scripts/lib/wait.ts';
import { makeScratch } from '../scratch.ts';

const BIN = path.join(import.meta.dirname, '../../../bin');
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;
const CTL_TIMEOUT_MS = 120_000;

/** What a process of ours is given; everything is optional. */
export interface ProgramOptions {
  /** kept when the program is disposed of, so that it can be started again on it; default: a folder that goes with it */
  readonly dataDir?: string;
  /** on top of what the function sets; undefined unsets */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** default: the namespace that the test runs in */
  readonly netns?: string;
  /** what becomes the program, and where; default: its launcher in bin/, in the folder of the test */
  readonly command?: { readonly argv: readonly string[]; readonly cwd: string };
}

export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** http://127.0.0.1:PORT, as it logged */
  readonly url: string;
  /** the records logged so far, oldest first; lines that are not JSON as `{ text }` */
  log(): readonly Readonly<Record<string, unknown>>[];
  /** Waits for a record with this message, from the start of the log on. */
  logged(message: string, timeoutMs?: number): Promise<Readonly<Record<string, unknown>>>;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | undefined>;
  /** kill -9 */
  kill(): Promise<void>;
}

/** Starts cara-server on a free port of 127.0.0.1 and waits until it listens. */
export async function startServer(options: ProgramOptions = {}): Promise<Program> {
  return await startProgram('cara-server', {
    message: 'server listening',
    ...options,
    env: { HOST: '127.0.0.1', PORT: '0', ...options.env },
  });
}

/** What an agent under test does without, unless the test asks for it: the developer's own overlay network, and load on its server. */
export const NO_SURROUNDINGS = { TAILSCALE_SOCKET: '/nonexistent/tailscaled.sock', THROUGHPUT_TEST: 'off' } as const;

export interface AgentOptions extends ProgramOptions {
  readonly serverUrl: string;
  readonly engineHost: string;
  readonly nodeName: string;
}

/** Starts cara-agent and waits until its own server listens; that it has registered is for the test to await. */
export async function startAgent(options: AgentOptions): Promise<Program> {
  const env = {
    SERVER_URL: options.serverUrl,
    DOCKER_HOST: options.engineHost,
    NODE_NAME: options.nodeName,
    AGENT_PORT: '0',
    ...NO_SURROUNDINGS,
    ...options.env,
  };
  return await startProgram('cara-agent', { message: 'agent listening', ...options, env });
}

export interface CtlOptions {
  /** CARA_SERVER */
  readonly server?: string;
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly netns?: string;
}

/** Runs caractrl to its end. Never rejects: look at `code`, `stdout` and `stderr`. */
export async function caractrl(args: readonly string[], options: CtlOptions = {}): Promise<RunResult> {
  const [program = '', ...rest] = [...inNetns(options.netns), path.join(BIN, 'caractrl'), ...args];
  return await run(program, rest, {
    env: { ...process.env, ...(options.server === undefined ? {} : { CARA_SERVER: options.server }), ...options.env },
    timeoutMs: CTL_TIMEOUT_MS,
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

async function startProgram(name: string, options: ProgramOptions & { readonly message: string }): Promise<Program> {
  const scratch = makeScratch();
  const dataDir = options.dataDir ?? path.join(scratch.path, 'data');
  mkdirSync(dataDir, { recursive: true });
  const logFile = path.join(scratch.path, `${name}.log`);
  const { argv, cwd } = options.command ?? { argv: [path.join(BIN, name)], cwd: process.cwd() };
  const env = { ...process.env, LOG_FORMAT: 'json', DATA_DIR: dataDir, ...options.env };
  const child = launch([...inNetns(options.netns), ...argv], logFile, { env, cwd });
  const { promise: exited, resolve } = Promise.withResolvers<number | undefined>();
  child.on('exit', (code) => resolve(code ?? undefined));
  child.on('error', () => resolve(undefined));
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const end = async (signal: NodeJS.Signals): Promise<number | undefined> => {
    child.kill(signal);
    await until(hasExited, { what: `${name} to end after ${signal}`, timeoutMs: STOP_TIMEOUT_MS }).catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return await exited;
  };
  const log = (): readonly Readonly<Record<string, unknown>>[] => readLog(logFile);
  const logged = async (message: string, timeoutMs = START_TIMEOUT_MS): Promise<Readonly<Record<string, unknown>>> => {
    const find = (): Readonly<Record<string, unknown>> | undefined => log().find(({ msg }) => msg === message);
    const found = await until(() => find() ?? (hasExited() && 'ended'), { what: `${name} to log "${message}"`, timeoutMs });
    if (found === 'ended') {
      throw new Error(`${name} ended before it logged "${message}": ${lastLines(readFileSync(logFile, 'utf8'), 5)}`);
    }
    return found;
  };
  const dispose = async (): Promise<void> => {
    await end('SIGKILL'); // a test that cares how it ends says so with stop()
    scratch[Symbol.dispose]();
  };
  try {
    const { url } = await logged(options.message);
    const pid = child.pid ?? 0;
    const kill = async (): Promise<void> => void (await end('SIGKILL'));
    return { pid, url: String(url), log, logged, stop: async () => await end('SIGTERM'), kill, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function launch(
  [program = '', ...args]: readonly string[],
  logFile: string,
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
): ChildProcess {
  const log = openSync(logFile, 'a');
  try {
    return spawn(program, args, { ...options, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

function readLog(file: string): readonly Readonly<Record<string, unknown>>[] {
  const complete = readFileSync(file, 'utf8').split('\n').slice(0, -1); // the last has no newline yet
  return complete.map((line) => {
    try {
      return JSON.parse(line) as Readonly<Record<string, unknown>>;
    } catch {
      return { text: line };
    }
  });
}
