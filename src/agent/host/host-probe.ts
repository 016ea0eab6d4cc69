/** Measures the machine: CPU, memory, and the disk that holds the engine's data. A port: the simulation has its own. */
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import type { NodeInfo } from '../../api/node.ts';
import { readCgroupLimits, type ReadText } from './cgroup-limits.ts';
import type { DiskMeasure } from './pressure.ts';

export interface HostMeasure {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly memoryAvailableBytes: number;
  readonly disk: DiskMeasure;
}

export interface HostProbe {
  /** @param dataDir the engine's folder; undefined while it is not known. What is not visible here is measured as "/" */
  measure(dataDir: string | undefined): Promise<HostMeasure>;
  /** What does not change while the machine is up. */
  info(): NodeInfo & { readonly hostname: string };
}

export function createHostProbe(): HostProbe {
  return {
    measure: async (dataDir) => ({ ...measureCompute(readText), disk: await measureDisk(dataDir ?? '/') }),
    info: () => ({
      hostname: os.hostname(),
      kernelVersion: os.release(),
      osImage: /^PRETTY_NAME="?([^"\n]*)"?$/mu.exec(readText('/etc/os-release') ?? '')?.[1] ?? os.type(),
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
    }),
  };
}

/** Node's name -> the one that images go by. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' };

/** What the machine has, or what control groups allow of it. */
export function measureCompute(read: ReadText): Omit<HostMeasure, 'disk'> {
  const limits = readCgroupLimits(read);
  const total = meminfoBytes(read, 'MemTotal') ?? os.totalmem();
  const available = meminfoBytes(read, 'MemAvailable') ?? os.freemem();
  return {
    // availableParallelism() knows affinity but rounds a quota of 1.5 down to 1: a quota is ours to read
    cpuMillis: limits.cpuMillis === Infinity ? 1000 * os.availableParallelism() : Math.min(limits.cpuMillis, 1000 * os.cpus().length),
    memoryBytes: Math.min(total, limits.memoryBytes),
    memoryAvailableBytes: Math.min(available, Math.max(0, limits.memoryBytes - limits.memoryUsedBytes)),
  };
}

function meminfoBytes(read: ReadText, field: string): number | undefined {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'mu').exec(read('/proc/meminfo') ?? '')?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

async function measureDisk(path: string): Promise<DiskMeasure> {
  try {
    const { bsize, blocks, bavail, files, ffree } = await statfs(path);
    return { path, totalBytes: blocks * bsize, freeBytes: bavail * bsize, inodes: files, freeInodes: ffree };
  } catch (error) {
    if (path === '/') {
      throw error;
    }
    return await measureDisk('/'); // the engine's folder is not visible from here: another machine's, or the agent is in a container
  }
}

/** A small file of the kernel's; undefined where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
