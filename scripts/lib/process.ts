/**
 * Processes by pid, safely: a recorded process is its pid and its start time, so that a reused pid is never taken for it.
 *
 * Source   proc(5): field 22 of /proc/PID/stat is the start time in clock ticks since boot.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { until } from './wait.ts';

export interface ProcessRecord {
  readonly pid: number;
  /** clock ticks since boot; '' where the system has no /proc */
  readonly startTime: string;
}

/** Records a running process. Undefined when it is gone (a zombie counts as gone). */
export function findProcess(pid: number): ProcessRecord | undefined {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) {
    return process.platform !== 'linux' && isSignallable(pid) ? { pid, startTime: '' } : undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTime: fields[19] ?? '' };
}

/** True while the recorded process itself runs. */
export function isRunning(record: ProcessRecord): boolean {
  return findProcess(record.pid)?.startTime === record.startTime;
}

/** The arguments of a process; empty when it is gone. */
export function argumentsOf(pid: number): readonly string[] {
  if (process.platform !== 'linux') {
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .stdout.trim()
      .split(/\s+/u);
  }
  return (readProc(pid, 'cmdline') ?? '').split('\0').filter((argument) => argument !== '');
}

/** Every process that `matches`; for finding what a killed run has left. */
export function listProcesses(matches: (pid: number) => boolean): readonly ProcessRecord[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number);
  return pids.filter((pid) => pid !== process.pid && matches(pid)).flatMap((pid) => findProcess(pid) ?? []);
}

/** Every process but this one with `entry` (NAME=value) in the environment it was started with; children inherit it. */
export function listProcessesWith(entry: string): readonly ProcessRecord[] {
  return process.platform === 'linux' ? listProcesses((pid) => (readProc(pid, 'environ') ?? '').split('\0').includes(entry)) : [];
}

/** Processes in a control group, or below it, whose path has `segment`. */
export function listProcessesInCgroup(segment: string): readonly ProcessRecord[] {
  return listProcesses((pid) => (readProc(pid, 'cgroup') ?? '').split('\n').some((line) => line.split('/').includes(segment)));
}

/**
 * Ends processes: SIGTERM, and SIGKILL to what is left after `graceMs`. Resolves when all are gone.
 * @throws {TimedOut} when one survives SIGKILL for 10 s (stuck in the kernel)
 */
export async function stopProcesses(records: readonly ProcessRecord[], graceMs: number): Promise<void> {
  const left = (): readonly ProcessRecord[] => records.filter(isRunning);
  if (graceMs > 0) {
    left().forEach((record) => sendSignal(record, 'SIGTERM'));
    await until(() => left().length === 0, { what: 'processes to end', timeoutMs: graceMs, intervalMs: 20 }).catch(() => undefined);
  }
  left().forEach((record) => sendSignal(record, 'SIGKILL'));
  await until(() => left().length === 0, {
    what: `processes to die: ${left()
      .map(({ pid }) => pid)
      .join(', ')}`,
    timeoutMs: 10_000,
    intervalMs: 20,
  });
}

/** Signals the recorded process, if it still is that one. */
export function sendSignal(record: ProcessRecord, signal: NodeJS.Signals): void {
  if (!isRunning(record)) {
    return;
  }
  try {
    process.kill(record.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) {
      throw error;
    }
  }
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined; // gone, or no /proc
  }
}

function isSignallable(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
