/** Picks the backend that DATABASE_URL names. */
import { resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ConfigError } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { createMemoryStore } from './memory-store.ts';
import { createSqliteStore } from './sqlite/sqlite-store.ts';
import type { Store } from './store.ts';

export interface StoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** changes kept for watchers that come back; default 10,000 */
  readonly logSize?: number;
  /** as SqliteStoreOptions */
  readonly rarelyRead?: readonly string[];
}

/**
 * Opens the store: `sqlite:/path/to/file`, `sqlite::memory:`, `memory:`, `postgres://...`.
 * @throws {ConfigError} when the URL is none of these
 * @throws {ApiError} Invalid, Unavailable as `createSqliteStore` and `createPostgresStore`
 */
export async function openStore(databaseUrl: string, deps: StoreDeps): Promise<Store> {
  const target = parseStoreUrl(databaseUrl);
  switch (target.backend) {
    case 'memory':
      return createMemoryStore(deps);
    case 'sqlite':
      return await createSqliteStore({ ...deps, path: target.path });
    case 'postgres': {
      const { createPostgresStore } = await import('./postgres/postgres-store.ts'); // nobody else need load it
      return await createPostgresStore({ ...deps, url: databaseUrl });
    }
    default:
      return target satisfies never;
  }
}

type StoreTarget =
  | { readonly backend: 'memory' }
  | { readonly backend: 'postgres' }
  | { readonly backend: 'sqlite'; readonly path: string };

/** Which backend a URL names. @throws {ConfigError} when it names none */
export function parseStoreUrl(databaseUrl: string): StoreTarget {
  const [, scheme = '', rest = ''] = /^([a-z0-9+.-]+):(.*)$/isu.exec(databaseUrl) ?? [];
  switch (scheme.toLowerCase()) {
    case 'memory':
      return { backend: 'memory' };
    case 'sqlite':
      return { backend: 'sqlite', path: sqlitePath(rest) };
    case 'postgres':
    case 'postgresql':
      return { backend: 'postgres' };
    default:
      // Only the scheme is shown: the rest may hold a password.
      throw new ConfigError(
        'Cannot use DATABASE_URL as it must be sqlite:/path/to/cara.db, postgres://USER:PASSWORD@HOST/DATABASE, sqlite::memory: or memory: ' +
          `current value ${scheme === '' ? 'has no scheme' : `begins with ${JSON.stringify(`${scheme}:`)}`}`,
      );
  }
}

function sqlitePath(rest: string): string {
  if (rest === ':memory:') {
    return rest;
  }
  if (rest === '' || rest.endsWith('/') || /^\/\/[^/]/u.test(rest)) {
    throw new ConfigError(`Cannot use DATABASE_URL as it must name a file like sqlite:/path/to/cara.db: current value is "sqlite:${rest}"`);
  }
  return resolve(rest);
}
