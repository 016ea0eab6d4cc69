/**
 * Fence file: what this machine runs that is fenced, and until when it may: DATA_DIR/fence.json. What an agent leaves behind for its
 * next process and for the fence guard.
 *
 * Written in place and with a checksum: a full disk must not keep a grant from being written down, and what a reader finds half
 * written is not the file. It need not outlive the kernel (another boot voids it), so that nothing waits for the disk.
 * Callers  session/self-fence.ts writes, guard.ts reads.
 */
import { createHash } from 'node:crypto';
import type { FenceGrant } from '../../api/project/fence.ts';
import type { Disk } from '../../base/disk.ts';

export interface FenceRecord {
  /** all times are of this boot */
  readonly bootId: string;
  /** DOCKER_HOST of the engine that runs the containers */
  readonly engineHost: string;
  readonly entries: readonly FenceEntry[];
}

/** One fenced Project. */
export interface FenceEntry {
  readonly cluster: string;
  readonly uid: string;
  readonly project: string;
  readonly afterMs: number;
  readonly graceMs: number;
  /** null: unknown, so that it may not run */
  readonly grant: FenceGrant | null;
  /** ids of its containers, each written down before it is started */
  readonly containers: readonly string[];
}

const FORMAT = 1; // of another format is another file name: an older guard must not misread a newer agent's
const LEAST_SIZE = 65_536; // bytes, some 150 Projects: a file that has its blocks can be written on a full disk

/** @throws what the file system says; the content of before then stands */
export function writeFenceFile(disk: Disk, path: string, record: FenceRecord): void {
  const json = JSON.stringify({ format: FORMAT, ...record });
  disk.overwriteNow(path, `${digestOf(json)} ${json}\n`, LEAST_SIZE);
}

/** @returns undefined when there is none, or it is damaged */
export function readFenceFile(disk: Disk, path: string): FenceRecord | undefined {
  try {
    const [line = ''] = (disk.readTextNow(path) ?? '').split('\n', 1);
    const json = line.slice(line.indexOf(' ') + 1);
    if (line !== `${digestOf(json)} ${json}`) {
      return undefined;
    }
    const { format, ...record } = JSON.parse(json) as FenceRecord & { readonly format: number };
    return format === FORMAT ? record : undefined;
  } catch {
    return undefined;
  }
}

function digestOf(json: string): string {
  return createHash('sha256').update(json).digest('hex');
}
