/**
 * Backup files: written whole or not at all, and read back before they count.
 *
 * Never    leaves a file under its name that was not verified; replaces a file that is there.
 * Callers  server/backup/
 */
import { constants, createReadStream } from 'node:fs';
import { copyFile, link, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { ApiError } from '../../api/errors.ts';
import type { StoredObject } from '../store.ts';
import { damaged, foreign, readLines, type BackupSummary } from './backup-format.ts';

/** Of gzip: a fleet's objects are alike and shrink to a tenth even so. */
const LEVEL = 1;

/** The bytes of a backup, compressed. @param lines as `writeLines` gives them */
export function compressed(lines: Iterable<string>): NodeJS.ReadableStream {
  const gzip = createGzip({ level: LEVEL });
  pipeline(Readable.from(lines, { objectMode: false }), gzip).catch((error: unknown) => gzip.destroy(error as Error));
  return gzip;
}

/**
 * Stores the bytes of a backup under `path`: into a file beside it, onto the disk, read back and compared with its checksum, and only then
 * named. Readable by its owner alone.
 * @returns what the file holds, and its size in bytes
 * @throws {ApiError} Invalid when there is a file of that name, or what arrived is no whole backup; whatever the file system says
 */
export async function saveBackup(path: string, bytes: NodeJS.ReadableStream): Promise<BackupSummary & { readonly bytes: number }> {
  const partial = `${path}.partial-${process.pid}`;
  if ((await stat(path).catch(() => undefined)) !== undefined) {
    throw new ApiError('Invalid', `Cannot write backup ${path} as there is a file of that name: name another, or move it away`);
  }
  try {
    {
      await using file = await open(partial, 'wx', 0o600);
      for await (const chunk of bytes) {
        await file.writeFile(chunk);
      }
      await file.sync();
    }
    const summary = await readBackup(partial, () => undefined);
    await nameFile(partial, path);
    return { ...summary, bytes: (await stat(path)).size };
  } finally {
    await rm(partial, { force: true });
  }
}

/** A link fails where the name has been taken meanwhile; not every file system has links. */
async function nameFile(partial: string, path: string): Promise<void> {
  try {
    await link(partial, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw error;
    }
    await copyFile(partial, path, constants.COPYFILE_EXCL);
    await using file = await open(path, 'r');
    await file.sync();
  }
  await using folder = await open(dirname(path), 'r');
  await folder.sync();
}

/**
 * Reads a backup to its end and checks it; as `readLines`.
 * @throws {ApiError} Invalid for what is no whole backup; Unavailable when the file cannot be read
 */
export async function readBackup(
  path: string,
  onObject: (object: StoredObject, json: string) => void | Promise<void>,
): Promise<BackupSummary> {
  try {
    const gunzip = createGunzip();
    pipeline(createReadStream(path), gunzip).catch((error: unknown) => gunzip.destroy(error as Error)); // which ends the reading below
    return await readLines(gunzip, onObject);
  } catch (error) {
    throw explain(path, error);
  }
}

function explain(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || (error instanceof ApiError && error.reason !== 'Invalid')) {
    return error;
  }
  const code = 'code' in error ? String(error.code) : '';
  if (code.startsWith('Z_')) {
    const reason = code === 'Z_DATA_ERROR' && /incorrect header/u.test(error.message) ? foreign() : damaged(error.message);
    return new ApiError('Invalid', `Cannot use backup ${path} as ${reason.message}`, { cause: error });
  }
  return error instanceof ApiError ? new ApiError('Invalid', `Cannot use backup ${path} as ${error.message}`, { cause: error }) : error;
}
