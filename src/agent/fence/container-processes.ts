/**
 * The processes of containers, found and killed without the engine: for when that does not answer.
 *
 * Source   proc_pid_cgroup(5): every engine puts a container's id into the name of its cgroup (/docker/ID, docker-ID.scope, libpod-ID …).
 */
import { readdirSync, readFileSync } from 'node:fs';

const CONTAINER_ID = /[0-9a-f]{64}/gu;

/** Kills every process of these containers. @returns how many there were; those of other users' cannot be killed without root */
export function killProcesses(containerIds: ReadonlySet<string>, proc = '/proc'): number {
  let count = 0;
  for (const pid of listPids(proc)) {
    if (belongsTo(pid, containerIds, proc)) {
      count += 1;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // ended meanwhile, or not ours to kill: the next look tells
      }
    }
  }
  return count;
}

function listPids(proc: string): readonly number[] {
  try {
    return readdirSync(proc)
      .filter((name) => /^[0-9]+$/u.test(name))
      .map(Number);
  } catch {
    return []; // no Linux
  }
}

function belongsTo(pid: number, containerIds: ReadonlySet<string>, proc: string): boolean {
  try {
    const cgroups = readFileSync(`${proc}/${pid}/cgroup`, 'utf8');
    return (cgroups.match(CONTAINER_ID) ?? []).some((id) => containerIds.has(id));
  } catch {
    return false; // ended meanwhile
  }
}
