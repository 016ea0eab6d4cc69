/**
 * Ends what an exec has left running: the engine has no call for it.
 *
 * Never    signals a process that is not in the container: a pid may be another process's by now, or count on another machine, as where
 *          DOCKER_HOST is not this one. Where that cannot be told, or this user may not, nothing is done.
 * Callers  http/service-routes.ts
 * Source   runc makes each command of an exec the leader of a session of its own (nsexec.c); cgroup paths end in the container's id.
 */
import { readdir, readFile } from 'node:fs/promises';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import type { LeftRunning } from './exec-session.ts';

const GRACE_MS = 5000;
const LOOK_MS = 3000;
const ASK_AGAIN_MS = 5000; // an engine that is away at the agent's start

export interface EndProcessPorts {
  readonly clock: Clock;
  /** default: this machine's /proc */
  readonly procDir?: string;
  readonly kill?: (pid: number, signal: NodeJS.Signals) => void;
}

export interface Leftover {
  readonly containerId: string;
  /** of the command, as this machine counts */
  readonly pid: number;
  /** the terminal is gone: what interactive shells listen to; else TERM */
  readonly hasTty: boolean;
}

export interface LeftoverPorts extends EndProcessPorts {
  readonly engine: Pick<Engine, 'inspectExec'>;
}

/** Ends a command that whoever asked for it has left, where that is possible from here. Never rejects but by the signal. */
export async function endLeftover(ports: LeftoverPorts, { execId, ...left }: LeftRunning, signal: AbortSignal): Promise<void> {
  using deadline = withDeadline(ports.clock, LOOK_MS, new AbortController().signal); // also when the agent stops: then is the time
  const state = await ports.engine.inspectExec(execId, deadline.signal).catch(() => undefined);
  if (state?.isRunning === true && state.pid !== undefined) {
    await endProcess(ports, { ...left, pid: state.pid }, signal);
  }
}

/** As `endLeftover`, of a former agent: waits until the engine tells how it is. */
export async function endFormer(ports: LeftoverPorts, left: LeftRunning, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await ports.engine.inspectExec(left.execId, signal);
      return await endLeftover(ports, left, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof EngineError)) {
        throw error;
      }
      await ports.clock.sleep(ASK_AGAIN_MS, signal);
    }
  }
}

/** Asks all of the command's processes to end, and kills them after five seconds. @returns false where that was not possible */
export async function endProcess(ports: EndProcessPorts, leftover: Leftover, signal: AbortSignal): Promise<boolean> {
  if (!(await signalSession(ports, leftover, leftover.hasTty ? 'SIGHUP' : 'SIGTERM'))) {
    return false;
  }
  await ports.clock.sleep(GRACE_MS, signal);
  await signalSession(ports, leftover, 'SIGKILL');
  return true;
}

/** @returns false where there was nothing that could be signalled */
async function signalSession(ports: EndProcessPorts, { containerId, pid }: Leftover, name: NodeJS.Signals): Promise<boolean> {
  const { procDir = '/proc', kill = (one, what) => void process.kill(one, what) } = ports;
  let count = 0;
  for (const one of await listSession(procDir, pid)) {
    if (await isInContainer(procDir, one, containerId)) {
      try {
        kill(one, name);
        count += 1;
      } catch {
        // it has ended, or is not ours to end
      }
    }
  }
  return count > 0;
}

/** The process, and those of the session that it leads. */
async function listSession(procDir: string, leader: number): Promise<readonly number[]> {
  const names = await readdir(procDir).catch((): string[] => []);
  const pids = names.filter((name) => /^\d+$/u.test(name)).map(Number);
  const members: number[] = [];
  for (const pid of pids) {
    if (pid === leader || (await sessionOf(procDir, pid)) === leader) {
      members.push(pid);
    }
  }
  return members;
}

/** Source: proc(5), /proc/PID/stat, field 6; the second may hold spaces and parentheses */
async function sessionOf(procDir: string, pid: number): Promise<number | undefined> {
  const stat = await readOrNothing(`${procDir}/${pid}/stat`);
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
  return session === undefined ? undefined : Number(session);
}

async function isInContainer(procDir: string, pid: number, containerId: string): Promise<boolean> {
  return (await readOrNothing(`${procDir}/${pid}/cgroup`)).includes(containerId);
}

async function readOrNothing(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return ''; // it has ended
  }
}
