/** Where a program keeps what must outlive it, unless told otherwise. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What decides the default: the environment and whether this is root. */
export interface DataDirSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
}

/** Completes the refusal where there is no default. */
export const NO_DATA_DIR = 'neither HOME nor XDG_STATE_HOME names a folder to keep state in: set it to a folder that lasts';

/**
 * `/var/lib/caravanserai` as root, else the XDG state folder; undefined where the environment has neither it nor a home: a folder that
 * does not outlive a reboot, such as one in /tmp, would lose the fleet without a word. Source: XDG Base Directory Specification 0.8
 */
export function defaultDataDir({ env, isRoot }: DataDirSources): string | undefined {
  if (isRoot) {
    return '/var/lib/caravanserai';
  }
  const state = env['XDG_STATE_HOME'] ?? '';
  const home = env['HOME'] ?? '';
  return state.startsWith('/') ? join(state, 'caravanserai') : home.startsWith('/') ? join(home, '.local/state/caravanserai') : undefined;
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
