/**
 * Ends test files that run for ever. node:test's own time-out sends SIGTERM, for which its child has a handler: a file that spins never
 * comes to run it.
 *
 * Source   proc(5): field 4 of /proc/PID/stat is the parent. Without /proc nothing is watched.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../src/base/clock.ts';
import { argumentsOf, listProcesses, type ProcessRecord, sendSignal } from './process.ts';

const LOOK_MS = 1000;

export interface WatchdogOptions {
  /** how long one child may run; asked at each look */
  readonly limitMs: () => number;
  readonly clock: Clock;
  /** told the command line of what was killed */
  readonly onKill: (command: readonly string[]) => void;
}

/** Kills each child of this process that runs longer than the limit, until `signal` aborts. */
export async function runWatchdog({ limitMs, clock, onKill }: WatchdogOptions, signal: AbortSignal): Promise<void> {
  const seenMs = new Map<string, number>();
  while (!signal.aborted && process.platform === 'linux') {
    for (const child of listChildren()) {
      const key = `${child.pid} ${child.startTime}`;
      const firstMs = seenMs.get(key) ?? clock.monotonicMs();
      seenMs.set(key, firstMs);
      if (clock.monotonicMs() - firstMs > limitMs()) {
        onKill(argumentsOf(child.pid));
        sendSignal(child, 'SIGKILL');
      }
    }
    await clock.sleep(LOOK_MS, signal).catch(() => undefined); // aborted: the loop ends
  }
}

function listChildren(): readonly ProcessRecord[] {
  return listProcesses((pid) => parentOf(pid) === process.pid);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // gone
  }
}
