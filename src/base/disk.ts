/**
 * The disk as far as a program keeps files of its own on it: a port, as the simulation has disks that fill up, and processes that die
 * between two writes.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from './atomic-file.ts';
import { makeDataDir } from './data-dir.ts';
import { ignoreAbsence } from './file-error.ts';
import { acquirePidLock } from './pid-lock.ts';

/** Every call throws what the file system says. */
export interface Disk {
  /** Makes the folder where there is none, and takes the lock `name` in it, which dies with the process. */
  takeFolder(path: string, name: string): Promise<{ readonly release: () => void } | { readonly heldBy: number }>;
  /** @returns undefined where there is no such file */
  readText(path: string): Promise<string | undefined>;
  /** As writeFileAtomically. */
  writeText(path: string, content: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** @returns undefined where there is no such file */
  readTextNow(path: string): string | undefined;
  /**
   * Writes over the beginning of a file in place, without waiting for the disk, so that a full disk does not matter to a file that has its
   * blocks: `leastSize` bytes or more. A crash may leave a part of it written.
   */
  overwriteNow(path: string, content: string, leastSize: number): void;
}

export const systemDisk: Disk = {
  takeFolder: async (path, name) => {
    await makeDataDir(path);
    return acquirePidLock(join(path, name));
  },
  readText: async (path) => await readFile(path, 'utf8').catch(ignoreAbsence),
  writeText: writeFileAtomically,
  rename,
  readTextNow: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      return ignoreAbsence(error);
    }
  },
  overwriteNow,
};

const BLOCK = 4096;

function overwriteNow(path: string, content: string, leastSize: number): void {
  const text = Buffer.from(content);
  const bytes = Buffer.alloc(Math.ceil(text.length / BLOCK) * BLOCK, ' ');
  text.copy(bytes);
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { size } = fstatSync(file);
    const missing = Math.max(leastSize, bytes.length) - size;
    if (missing > 0) {
      writeAll(file, Buffer.alloc(missing, ' '), size); // fails for want of space before anything is lost
    }
    writeAll(file, bytes, 0);
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Buffer, position: number): void {
  if (writeSync(file, bytes, 0, bytes.length, position) < bytes.length) {
    throw new Error('Cannot write the file as there is no space left on the device');
  }
}
