/**
 * What control groups leave to this process, and so to the engine beside it, of the machine's CPU and memory.
 *
 * A limit on the agent's own systemd service is left out: the engine's containers are not in it.
 * Source   The kernel's cgroup-v2.rst (cpu.max, memory.max) and cgroup-v1 (cpu.cfs_quota_us, memory.limit_in_bytes).
 */
import { dirname, join } from 'node:path';

/** Reads a small file; undefined where it cannot be read. */
export type ReadText = (path: string) => string | undefined;

export interface CgroupLimits {
  /** Infinity: none */
  readonly cpuMillis: number;
  /** Infinity: none */
  readonly memoryBytes: number;
  /** of `memoryBytes`, what is in use and cannot be reclaimed at once */
  readonly memoryUsedBytes: number;
}

const ROOT = '/sys/fs/cgroup';
const UNLIMITED_V1 = 2 ** 60; // version 1 writes "no limit" as a huge number that depends on the page size

/** Reads the tightest limits on the way from this process's group to the root. */
export function readCgroupLimits(read: ReadText): CgroupLimits {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'));
  const unified = lines.find(([id, controllers]) => id === '0' && controllers === '')?.[2];
  const isV2 = read(`${ROOT}/cgroup.controllers`) !== undefined;
  if (isV2 && unified !== undefined) {
    return tightest(foldersOf(ROOT, unified).map((folder) => readV2(read, folder)));
  }
  const pathOf = (controller: string): string => lines.find(([, names]) => names?.split(',').includes(controller))?.[2] ?? '/';
  return tightest([
    ...foldersOf(`${ROOT}/cpu`, pathOf('cpu')).map((folder) => ({ ...NONE, cpuMillis: readCpuV1(read, folder) })),
    ...foldersOf(`${ROOT}/memory`, pathOf('memory')).map((folder) => readMemoryV1(read, folder)),
  ]);
}

const NONE: CgroupLimits = { cpuMillis: Infinity, memoryBytes: Infinity, memoryUsedBytes: 0 };

function tightest(limits: readonly CgroupLimits[]): CgroupLimits {
  return limits.reduce((least, next) => {
    const memory = next.memoryBytes < least.memoryBytes ? next : least;
    return {
      cpuMillis: Math.min(least.cpuMillis, next.cpuMillis),
      memoryBytes: memory.memoryBytes,
      memoryUsedBytes: memory.memoryUsedBytes,
    };
  }, NONE);
}

/** The group's folder and those above it, up to the mount. */
function foldersOf(mount: string, group: string): readonly string[] {
  const folders: string[] = [];
  let path = group.endsWith('.service') ? dirname(group) : group;
  for (; path.startsWith('/') && path !== '/'; path = dirname(path)) {
    folders.push(join(mount, path));
  }
  return [...folders, mount];
}

function readV2(read: ReadText, folder: string): CgroupLimits {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? 'max 100000').trim().split(' ');
  const memoryBytes = toBytes(read(`${folder}/memory.max`));
  return {
    cpuMillis: quota === 'max' ? Infinity : toMillis(Number(quota), Number(period)),
    memoryBytes,
    memoryUsedBytes:
      memoryBytes === Infinity ? 0 : used(read(`${folder}/memory.current`), read(`${folder}/memory.stat`), /^inactive_file (\d+)$/mu),
  };
}

function readCpuV1(read: ReadText, folder: string): number {
  return toMillis(Number(read(`${folder}/cpu.cfs_quota_us`) ?? -1), Number(read(`${folder}/cpu.cfs_period_us`) ?? 100_000));
}

function readMemoryV1(read: ReadText, folder: string): CgroupLimits {
  const memoryBytes = toBytes(read(`${folder}/memory.limit_in_bytes`));
  if (memoryBytes === Infinity) {
    return NONE;
  }
  const usedBytes = used(read(`${folder}/memory.usage_in_bytes`), read(`${folder}/memory.stat`), /^total_inactive_file (\d+)$/mu);
  return { ...NONE, memoryBytes, memoryUsedBytes: usedBytes };
}

function toMillis(quota: number, period: number): number {
  return quota > 0 && period > 0 ? Math.max(1, Math.floor((quota * 1000) / period)) : Infinity;
}

function toBytes(text: string | undefined): number {
  const bytes = Number(text?.trim() === '' ? Number.NaN : text);
  return Number.isFinite(bytes) && bytes < UNLIMITED_V1 ? bytes : Infinity;
}

/** Page cache that nobody touched lately is free for the asking. Source: what Kubernetes calls the working set. */
function used(current: string | undefined, stat: string | undefined, inactive: RegExp): number {
  return Math.max(0, Number(current ?? 0) - Number(inactive.exec(stat ?? '')?.[1] ?? 0));
}
