/** The processes of fleet.ts: the server on one core, the agents on the other. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../scripts/lib/wait.ts';
import { startServer, type Program } from '../test/support/programs/programs.ts';
import type { Job, Outcome } from './fleet-load.ts';
import type { Memory } from './fleet-probe.ts';
import { kept } from './kept.ts';
import { residentBytes } from './process-usage.ts';

// The first core of a machine is where the kernel and its devices have most to do.
const SERVER_CORE = '1';
const LOAD_CORE = '0';

/** Whether each can have a core of its own. */
export const CAN_PIN = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0;

function onCore(core: string, command: readonly string[]): readonly [string, ...string[]] {
  return ['env', ...(CAN_PIN ? ['taskset', '-c', core] : []), ...command];
}

type Child = ChildProcess & { readonly stdin: NodeJS.WritableStream; readonly stdout: NodeJS.ReadableStream };

function launch(core: string, file: string, ...rest: readonly string[]): Child {
  const [command, ...args] = onCore(core, [process.execPath, '--max-old-space-size=2000', path.join(import.meta.dirname, file), ...rest]);
  return spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}

export interface Server extends AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  /** after all garbage is collected */
  measureMemory(): Promise<Memory & { readonly resident: number }>;
}

/** The real program. @param dataDir is there already, and stays */
export async function startPinned(dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<Server> {
  const probeFile = path.join(dataDir, 'memory.json');
  const argv = onCore(SERVER_CORE, [path.join(import.meta.dirname, '../bin/cara-server')]);
  const NODE_OPTIONS = `--max-old-space-size=${process.env['SERVER_HEAP_MB'] ?? '4000'} --import=${path.join(import.meta.dirname, 'fleet-probe.ts')} ${process.env['SERVER_NODE_OPTIONS'] ?? ''}`;
  const command = { argv, cwd: process.cwd() };
  const program = await kept(startServer({ dataDir, command, env: { FLEET_PROBE: probeFile, NODE_OPTIONS, ...env } }));
  return {
    program,
    port: Number(new URL(program.url).port),
    measureMemory: async () => {
      rmSync(probeFile, { force: true });
      process.kill(program.pid, 'SIGUSR2');
      await until(() => existsSync(probeFile), { what: 'the memory to be measured', timeoutMs: 60_000 });
      return { ...(JSON.parse(readFileSync(probeFile, 'utf8')) as Memory), resident: residentBytes(program.pid) };
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

export interface BareServer extends Disposable {
  readonly pid: number;
  readonly port: number;
}

export async function startBare(): Promise<BareServer> {
  const child = launch(SERVER_CORE, 'fleet-bare.ts');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  return { pid: child.pid ?? 0, port, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

export interface Fleet extends Disposable {
  /** Does a job. Jobs go on side by side. @throws {Error} when the server refused something */
  act(job: Omit<Job, 'id'>): Promise<Outcome>;
}

export function startFleet(): Fleet {
  const child = launch(LOAD_CORE, 'fleet-load.ts');
  const waiting = new Map<number, PromiseWithResolvers<Outcome>>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const outcome = JSON.parse(line) as Outcome;
    waiting.get(outcome.id)?.resolve(outcome);
    waiting.delete(outcome.id);
  });
  child.on('exit', () => waiting.forEach(({ reject }) => reject(new Error('the agents ended early'))));
  let last = 0;
  return {
    act: async (job) => {
      last += 1;
      const answer = Promise.withResolvers<Outcome>();
      waiting.set(last, answer);
      child.stdin.write(`${JSON.stringify({ ...job, id: last } satisfies Job)}\n`);
      const outcome = await answer.promise;
      if (Object.keys(outcome.refused).length > 0) {
        throw new Error(`Cannot ${job.saying} as the server refuses it: ${JSON.stringify(outcome.refused)}`);
      }
      return outcome;
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

export interface Sessions extends Disposable {
  /** From the start, or the last count, until each agent has had a beat accepted and its watch opened; in ms. */
  allBack(): Promise<number>;
  startCount(): void;
}

/** As fleet-sessions.ts. */
export function startSessions(serverUrl: string, agents: number, intervalMs: number): Sessions {
  const child = launch(LOAD_CORE, 'fleet-sessions.ts', serverUrl, String(agents), String(intervalMs));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    allBack: async () => {
      const line = await lines.next();
      if (line.done === true) {
        throw new Error('the agents ended early');
      }
      return Number(line.value);
    },
    startCount: () => void child.stdin.write('\n'),
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}
