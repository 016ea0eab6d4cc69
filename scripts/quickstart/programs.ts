/** cara-server, cara-agent and caractrl as the quickstart runs them: through bin/, with nothing of the user's settings. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { prettyLine } from '../../src/base/log.ts';
import { lastLines, run, type RunResult } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

export const ROOT = path.join(import.meta.dirname, '../..');

/** What is passed on to programs; a DATABASE_URL or NODE_NAME of the user's is not meant for this. */
const KEPT = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TERM', 'NO_COLOR', 'TMPDIR'];
const START_TIMEOUT_MS = 30_000;

export interface ProgramStart {
  readonly name: 'cara-server' | 'cara-agent';
  readonly logFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** of the log record that says it is up; it holds the url */
  readonly readyMessage: string;
  /** called at once, before anything can fail */
  readonly onPid: (pid: number) => void;
  readonly signal: AbortSignal;
}

export interface RunningProgram {
  readonly name: string;
  readonly url: string;
  readonly logFile: string;
  /** rejects when it ends, whatever the cause; never resolves */
  readonly ended: Promise<never>;
  hasEnded(): boolean;
}

/** A failure whose cause is in a log: its last lines are shown with it. */
export class ProgramFailure extends Error {
  override readonly name = 'ProgramFailure';
  readonly logFile: string;

  constructor(message: string, logFile: string) {
    super(message);
    this.logFile = logFile;
  }
}

/** Starts a program detached from the terminal, so that Ctrl-C is ours alone, and waits until it is up. @throws {ProgramFailure} */
export async function startProgram({ name, logFile, env, readyMessage, onPid, signal }: ProgramStart): Promise<RunningProgram> {
  rmSync(logFile, { force: true });
  const log = openSync(logFile, 'a');
  const child = spawn(path.join(ROOT, 'bin', name), [], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...keptEnvironment(), LOG_FORMAT: 'json', ...env },
  });
  closeSync(log);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => undefined); // looked at by those who race it; by then it may have happened
  child.on('error', (error) => reject(new ProgramFailure(`Cannot start ${name}: ${error.message}`, logFile)));
  child.on('exit', (code, by) => reject(new ProgramFailure(`${name} ended by itself (${by ?? `exit code ${code}`})`, logFile)));
  if (child.pid !== undefined) {
    onPid(child.pid);
  }
  child.unref();
  const isUp = until(() => findRecord(logFile, readyMessage), { what: `${name} to be up`, timeoutMs: START_TIMEOUT_MS, signal });
  const record = await Promise.race([isUp, ended]).catch((error: unknown) => {
    throw error instanceof ProgramFailure || signal.aborted ? error : new ProgramFailure(String(error), logFile);
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { name, logFile, ended, hasEnded, url: String(record['url']) };
}

/** Runs caractrl against a server. */
export async function runCaractrl(
  args: readonly string[],
  { dir, server }: { readonly dir: string; readonly server: string },
): Promise<RunResult> {
  // XDG_CONFIG_HOME: the user's own contexts have no say here
  const env = { ...keptEnvironment(), ...compileCache(dir), XDG_CONFIG_HOME: path.join(dir, 'config') };
  return await run(path.join(ROOT, 'bin/caractrl'), ['--server', server, ...args], { env, timeoutMs: 60_000 });
}

/** Keeps also Node's compiled code in the quickstart's folder. */
export function compileCache(dir: string): Record<string, string> {
  return { NODE_COMPILE_CACHE: path.join(dir, 'cache/compile') };
}

/** The last lines of a log for people. */
export function readTail(logFile: string, count: number): string {
  try {
    return lastLines(readFileSync(logFile, 'utf8'), count)
      .split('\n')
      .map((line) => (line.startsWith('{') ? prettyLine(line) : line))
      .join('\n');
  } catch {
    return ''; // no log, or a line that was cut off
  }
}

function keptEnvironment(): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

function findRecord(logFile: string, message: string): Readonly<Record<string, unknown>> | undefined {
  const lines = readFileSync(logFile, 'utf8').split('\n').slice(0, -1);
  const records = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  return records.find(({ msg }) => msg === message);
}
