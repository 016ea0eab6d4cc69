/** Where a program keeps what must outlive it, unless told otherwise. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What decides the default: the environment and whether this is root. */
export interface DataDirSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
}

/** `/var/lib/caravanserai` as root, else the XDG state folder. Source: XDG Base Directory Specification 0.8 */
export function defaultDataDir({ env, isRoot }: DataDirSources): string {
  if (isRoot) {
    return '/var/lib/caravanserai';
  }
  const state = env['XDG_STATE_HOME'] ?? '';
  return state.startsWith('/') ? join(state, 'caravanserai') : join(env['HOME'] ?? '/tmp', '.local/state/caravanserai');
}

/**
 * Makes the folder and those above it, each for its owner alone; one that is there stays as it is.
 * Not `mkdir` with `recursive`: below a folder such as /proc, where nothing can be made, Node 26 tries for ever.
 * @throws what the file system says
 */
export async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) {
      return;
    }
    if (code !== 'ENOENT' || (await isThere(dirname(path)))) {
      throw error;
    }
    await makeDataDir(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
