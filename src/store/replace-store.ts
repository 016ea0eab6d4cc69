/**
 * Puts a whole state in the place of what a database has, in whatever backend DATABASE_URL names. What was there stays, under another name.
 *
 * Callers  server/backup/restore.ts
 */
import { ConfigError } from '../base/config.ts';
import { parseStoreUrl, type StoreDeps } from './open-store.ts';
import type { StoredObject } from './store.ts';

type Put = (object: StoredObject, json: string) => void | Promise<void>;

export interface ReplaceStore {
  /** Calls `put` for each object, under the resourceVersion that it has. @returns the last, whose version becomes the store's: greater than all others */
  readonly write: (put: Put) => Promise<StoredObject>;
  /** what the old state's name ends in, such as before-restore-20270101t000000z */
  readonly aside: string;
}

export interface Replacement {
  /** where the old state is now; undefined: there was none */
  readonly keptAs: string | undefined;
}

/**
 * @throws {ConfigError} for a URL of no lasting store
 * @throws {ApiError} Unavailable while a server uses it; then, as after whatever `write` throws, all is as it was
 */
export async function replaceStore(databaseUrl: string, deps: StoreDeps, replace: ReplaceStore): Promise<Replacement> {
  const target = parseStoreUrl(databaseUrl);
  switch (target.backend) {
    case 'postgres': {
      const { replacePostgres } = await import('./postgres/postgres-import.ts');
      return await replacePostgres({ ...deps, url: databaseUrl }, replace);
    }
    case 'sqlite':
      if (target.path !== ':memory:') {
        const { replaceSqlite } = await import('./sqlite/sqlite-import.ts');
        return await replaceSqlite({ ...deps, path: target.path }, replace);
      }
      break;
    case 'memory':
      break;
    default:
      target satisfies never;
  }
  throw new ConfigError(
    'Cannot restore into DATABASE_URL as nothing in memory lasts: it must be sqlite:/path/to/cara.db or postgres://...',
  );
}
