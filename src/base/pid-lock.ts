/**
 * A lock that dies with its process: a file with a pid and when that process was started, so that neither a crash nor a pid used
 * anew keeps anyone out.
 *
 * Source   proc_pid_stat(5), field 22 (starttime); where there is no /proc the pid alone must do.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsence } from './file-error.ts';

interface Holder {
  readonly pid: number;
  /** clock ticks after boot; "" where there is no /proc */
  readonly startedAt: string;
}

/** @returns how to let go of it, or the pid of the live process that holds it */
export function acquirePidLock(path: string): { readonly release: () => void } | { readonly heldBy: number } {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) ?? '' } satisfies Holder), { mode: 0o600 });
  try {
    for (let attempt = 0; ; attempt += 1) {
      if (tryLink(mine, path)) {
        return { release: () => rmSync(path, { force: true }) };
      }
      const holder = readHolder(path);
      if (holder !== undefined && (isAlive(holder) || attempt >= 3)) {
        return { heldBy: holder.pid };
      }
      clearAway(path, mine, holder);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** @returns the pid of the live process that holds the lock; undefined: none does */
export function findPidLockHolder(path: string): number | undefined {
  const holder = readHolder(path);
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

/** link(2) fails where the name is taken, so the lock is there with its content or not at all. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    throw error;
  }
}

/** Removes the lock of a process that is gone; one that someone else has taken since then is put back. */
function clearAway(path: string, mine: string, gone: Holder | undefined): void {
  const aside = `${mine}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isAbsence(error)) {
      return; // someone else was faster
    }
    throw error;
  }
  const holder = readHolder(aside);
  if (holder !== undefined && holder.pid !== gone?.pid) {
    tryLink(aside, path);
  }
  rmSync(aside, { force: true });
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined; // gone in the meantime, or not ours: nothing that a live process of ours wrote
  }
}

function isAlive({ pid, startedAt }: Holder): boolean {
  if (startedAt !== '') {
    return startOf(pid) === startedAt;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When the process was started; undefined when there is none of that pid, when it has ended and nobody has asked how (a zombie), or no /proc. */
function startOf(pid: number): string | undefined {
  try {
    // the name in field 2 may hold spaces and parentheses: count from its end
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1) ?? '';
    const fields = afterName.trim().split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
