/** Files that nobody but their owner may read. */
import { chmod, stat } from 'node:fs/promises';

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
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
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
