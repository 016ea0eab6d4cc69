/** Files that nobody but their owner may read. */
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFileError, isAbsence } from './file-error.ts';
import type { Logger } from './log.ts';

/**
 * Takes all rights from others where they have some; what is not there stays so.
 * @returns the rights that there were, such as "644"; undefined: it was private, or is not there
 * @throws what the file system says where they cannot be taken
 */
export async function keepPrivate(path: string): Promise<string | undefined> {
  let mode: number;
  try {
    ({ mode } = await stat(path));
  } catch (error) {
    if (isAbsence(error)) {
      return undefined;
    }
    throw error;
  }
  if ((mode & 0o077) === 0) {
    return undefined;
  }
  await chmod(path, mode & 0o700);
  return (mode & 0o777).toString(8);
}

/** Mends the rights of a program's own secrets, and says so. @throws {Error} naming the file where that cannot be done */
export async function keepAllPrivate(folder: string, names: readonly string[], log: Logger): Promise<void> {
  for (const name of names) {
    const path = join(folder, name);
    let was: string | undefined;
    try {
      was = await keepPrivate(path);
    } catch (error) {
      throw new Error(`Cannot keep ${path} from others as ${explainFileError(error)}: chmod 600 it, or let its owner run this program`, {
        cause: error,
      });
    }
    if (was !== undefined) {
      log.warn({ path, was }, 'others had rights to a file with secrets, and have none now');
    }
  }
}
