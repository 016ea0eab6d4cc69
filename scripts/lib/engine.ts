/**
 * A Docker engine of our own, for the quickstart and the end-to-end tests: everything it keeps is in one folder, and stopping it
 * leaves no process, mount, control group, link or firewall rule.
 *
 * Owns     the folder given to it, with engine.json (what to undo, written before the engine starts, so that a killed run can be
 *          cleaned up by the next) and a network namespace where one was asked for.
 * Never    touches the machine's own engine: its folders /run/containerd and /etc/docker are covered in a private mount namespace.
 * Callers  quickstart/cluster.ts, test.ts, the benchmarks that need one, test/support/engines/engine.ts.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { isEngineAt } from './engine-http.ts';
import { type EngineRecord, removeEngine } from './engine-remove.ts';
import { listOtherEngines, takeNetworkSnapshot } from './engine-network.ts';
import { addNetns, inNetns } from './netns.ts';
import { findProcess, listProcesses, stopProcesses } from './process.ts';
import { lastLines, withSystemPath } from './run.ts';
import { until } from './wait.ts';

export interface Engine extends AsyncDisposable {
  /** unix:///… for DOCKER_HOST */
  readonly host: string;
  readonly pid: number;
  readonly netns: string | undefined;
  /** Stops the engine with its containers and removes all traces, its folder included. Safe to call twice. */
  stop(): Promise<void>;
  /** kill -9 of the engine alone, as a crash: containers go on running until `stop`. */
  kill(): Promise<void>;
  /** Ends the engine and with it its containers, as `systemctl stop docker` does; `start` starts it again on all that it has kept. */
  halt(): Promise<void>;
  start(): Promise<void>;
}

export interface EngineOptions {
  /** made if missing, removed by `stop`; must not hold anything else */
  readonly dir: string;
  /** a network namespace for it alone: made here, removed by `stop` with every process in it */
  readonly netns?: string;
  /** default engine.log in `dir` */
  readonly logFile?: string;
  /** what its daemon.json says; default nothing */
  readonly settings?: Readonly<Record<string, unknown>>;
}

const START_TIMEOUT_MS = 60_000;
const HALT_GRACE_MS = 20_000; // it gives containers 5 s (--shutdown-timeout)
const MAX_SOCKET_PATH = 100; // the kernel takes 107 characters (unix(7)); containerd adds a suffix to some
const LONGEST_BELOW = '/exec/containerd/containerd.sock.ttrpc'.length;
const COVERED = ['/run/containerd', '/etc/docker']; // a containerd of the system, the engine's key and daemon.json
const MADE_BY_CONTAINERD = '/opt/containerd';

// In a mount namespace of its own: nothing the engine mounts is seen outside, and all of it goes with its last process.
const ENTER = 'for folder in /run/containerd /etc/docker; do mount -t tmpfs cara "$folder" || exit 1; done; exec "$@"';

/** The engine that this machine offers: DOCKER_HOST, else the usual socket. Undefined when nothing answers within two seconds. */
export async function findEngine(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const configured = env['DOCKER_HOST'] ?? '';
  const host = configured === '' ? 'unix:///var/run/docker.sock' : configured;
  return (await isEngineAt(host)) ? host : undefined;
}

/** Starts a private engine. Needs root. @throws {Error} with the engine's last words, when it does not come up */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  if (process.getuid?.() !== 0) {
    throw new Error('Cannot start a Docker engine as that needs root: start Docker, or run this as root');
  }
  if (existsSync(path.join(options.dir, 'engine.json'))) {
    await removeEngine(options.dir); // what a killed run has left
  }
  refuseBesideSystemEngine(options.netns);
  mkdirSync(options.dir, { recursive: true });
  const record = await prepare(options);
  const logFile = options.logFile ?? path.join(options.dir, 'engine.log');
  try {
    const pid = launch(record, options.dir, logFile);
    await waitUntilReady(hostOf(record), pid, logFile);
    return engineOf(record, { dir: options.dir, logFile, pid });
  } catch (error) {
    await removeEngine(options.dir);
    throw error;
  }
}

/** An engine without docker0, as ours is, removes that link at its start: fatal for one that uses it in the same namespace. */
function refuseBesideSystemEngine(netns: string | undefined): void {
  const [other] = netns === undefined && existsSync('/sys/class/net/docker0') ? listOtherEngines() : [];
  if (other !== undefined) {
    throw new Error(
      `Cannot start a Docker engine as another runs here (dockerd, pid ${other.pid}) and does not answer where we asked: set DOCKER_HOST to its address`,
    );
  }
}

/** Writes down what will have to be undone, then makes the folders and the namespace. */
async function prepare({ dir, netns, settings = {} }: EngineOptions): Promise<EngineRecord> {
  const isShort = path.resolve(dir).length + LONGEST_BELOW <= MAX_SOCKET_PATH;
  const record: EngineRecord = {
    name: `cara-engine-${randomBytes(4).toString('hex')}`,
    runDir: isShort ? path.resolve(dir) : mkdtempSync('/tmp/cara-'),
    netns,
    network: netns === undefined ? await takeNetworkSnapshot() : undefined,
    madeFolders: [...COVERED, MADE_BY_CONTAINERD].filter((folder) => !existsSync(folder)),
  };
  writeFileSync(path.join(dir, 'engine.json'), JSON.stringify(record));
  writeFileSync(path.join(dir, 'daemon.json'), JSON.stringify(settings)); // not the machine's, whose settings would contradict our flags
  COVERED.forEach((folder) => mkdirSync(folder, { recursive: true }));
  if (netns !== undefined) {
    await addNetns(netns);
  }
  return record;
}

/** @param mountsOf a process whose mounts it shares, so that it finds again what runs of its containers; default: new ones */
function launch(record: EngineRecord, dir: string, logFile: string, mountsOf?: number): number {
  const { runDir, netns, name } = record;
  const enter =
    mountsOf === undefined
      ? ['unshare', '--mount', '--propagation', 'slave', '/bin/sh', '-c', ENTER, 'cara-engine']
      : ['nsenter', `--mount=/proc/${mountsOf}/ns/mnt`];
  const engine = {
    '--config-file': path.resolve(dir, 'daemon.json'),
    '--data-root': path.resolve(dir, 'data'),
    '--exec-root': `${runDir}/exec`,
    '--pidfile': `${runDir}/docker.pid`,
    '--host': `unix://${runDir}/docker.sock`,
    // the host's docker0 is not ours to take; in a namespace of its own an engine has one, as engines do
    ...(netns === undefined ? { '--bridge': 'none' } : {}),
    '--shutdown-timeout': '5',
    // a control group of its own, which finds its containers whatever becomes of the engine
    '--exec-opt': 'native.cgroupdriver=cgroupfs',
    '--cgroup-parent': `/${name}`,
  };
  const command = [...inNetns(netns), ...enter, 'dockerd', ...Object.entries(engine).flat()];
  const log = openSync(logFile, 'a');
  try {
    const [program = '', ...args] = command;
    // every step of the command execs the next, so that this pid becomes dockerd's; detached: Ctrl-C on the terminal is not for it
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], env: withSystemPath(process.env) });
    child.on('error', () => undefined); // told by waitUntilReady
    child.unref();
    if (child.pid === undefined) {
      throw new Error(`Cannot start a Docker engine as ${program} (package util-linux) cannot be run`);
    }
    return child.pid;
  } finally {
    closeSync(log);
  }
}

async function waitUntilReady(host: string, pid: number, logFile: string): Promise<void> {
  const isReady = await until(async () => (findProcess(pid) === undefined ? 'died' : (await isEngineAt(host)) && 'ready'), {
    what: 'the Docker engine to answer',
    timeoutMs: START_TIMEOUT_MS,
  }).catch(() => 'silent');
  if (isReady !== 'ready') {
    const cause = isReady === 'died' ? 'it ended' : `it did not answer within ${START_TIMEOUT_MS / 1000} s`;
    throw new Error(`Cannot start a Docker engine as ${cause}: ${lastComplaint(readFileSync(logFile, 'utf8'))}`);
  }
}

/** The line of dockerd's log that says why it failed: the last that is an error, else the last. */
export function lastComplaint(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const complaint =
    lines.findLast((line) => !line.startsWith('time=') || /level=(error|fatal)/u.test(line)) ?? lines.at(-1) ?? 'no word in its log';
  return /msg="((?:[^"\\]|\\.)*)"/u.exec(complaint)?.[1]?.replaceAll('\\"', '"') ?? lastLines(complaint, 1);
}

function hostOf({ runDir }: EngineRecord): string {
  return `unix://${runDir}/docker.sock`;
}

function engineOf(record: EngineRecord, { dir, logFile, pid: firstPid }: { dir: string; logFile: string; pid: number }): Engine {
  let pid = firstPid;
  let dockerd = findProcess(pid);
  const mounts = mountsOf(pid);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping ??= removeEngine(dir);
    await stopping;
  };
  const end = async (graceMs: number): Promise<void> => {
    if (dockerd !== undefined) {
      await stopProcesses([dockerd], graceMs);
    }
  };
  return {
    host: hostOf(record),
    get pid() {
      return pid;
    },
    netns: record.netns,
    stop,
    kill: async () => await end(0),
    halt: async () => await end(HALT_GRACE_MS),
    start: async () => {
      forgetContainerd(record);
      const [survivor] = listProcesses((other) => mounts !== undefined && mountsOf(other) === mounts);
      pid = launch(record, dir, logFile, survivor?.pid);
      dockerd = findProcess(pid);
      await waitUntilReady(hostOf(record), pid, logFile);
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Names the mount namespace of a process; undefined once it has ended. */
function mountsOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** After a kill its containerd may be a zombie for as long as nobody reaps it, and dockerd would wait for that one to answer. */
function forgetContainerd({ runDir }: EngineRecord): void {
  const file = path.join(runDir, 'exec/containerd/containerd.pid');
  if (existsSync(file) && findProcess(Number(readFileSync(file, 'utf8'))) === undefined) {
    rmSync(file);
  }
}
