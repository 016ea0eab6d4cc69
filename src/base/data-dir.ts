/** Where a program keeps what must outlive it, unless told otherwise. */
import { join } from 'node:path';

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
