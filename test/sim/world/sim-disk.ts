/** A machine's disk, which outlives its processes and its reboots. */
import type { Disk } from '../../../src/base/disk.ts';
import { EngineError } from '../../../src/agent/docker/engine-error.ts';

export class SimDisk {
  /** path -> content */
  readonly files = new Map<string, string>();
  isFull = false;
  /** to the agent, whose folder it is: the engine has another */
  isReadOnly = false;

  /** @throws as an engine does that has no place for an image or a container */
  refuseWhenFull(): void {
    if (this.isFull) {
      throw new EngineError('NoSpace', 'no space left on device');
    }
  }

  /** @param isAlive whether the process whose port it is may still write */
  openPort(isAlive: () => boolean): Disk {
    const write = (path: string, content: string): void => {
      if (!isAlive()) {
        return; // it was killed before
      }
      if (this.isReadOnly) {
        throw Object.assign(new Error('EROFS: read-only file system, open'), { code: 'EROFS' });
      }
      if (this.isFull && (this.files.get(path)?.length ?? 0) < content.length) {
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      }
      this.files.set(path, content);
    };
    return {
      takeFolder: async () => await Promise.resolve({ release: () => undefined }), // a machine of the simulation runs one agent at a time
      readText: async (path) => await Promise.resolve(this.files.get(path)),
      writeText: async (path, content) => {
        await Promise.resolve(); // the process may be killed before
        write(path, content);
      },
      rename: async (from, to) => {
        await Promise.resolve();
        const content = this.files.get(from);
        if (content !== undefined && isAlive()) {
          this.files.delete(from);
          this.files.set(to, content);
        }
      },
      readTextNow: (path) => this.files.get(path),
      overwriteNow: (path, content, leastSize) => write(path, content.padEnd(leastSize, ' ')),
    };
  }
}
