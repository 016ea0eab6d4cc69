/** PostgreSQL among the backends of the contract suite: one cluster for a test file, a database for each store, used again when emptied. */
import { after } from 'node:test';
import { createPostgresStore } from '../../../src/store/postgres/postgres-store.ts';
import { NO_POSTGRES, startPostgres, type PostgresServer } from './postgres.ts';
import { BACKENDS, silentLog, type Backend, type BackendKind } from './store-backends.ts';

const EMPTY = "TRUNCATE caravanserai.objects, caravanserai.changes; UPDATE caravanserai.head SET version = 0, commit_id = ''";

/** All backends, PostgreSQL where this machine has it. To be called once in a test file, which then stops it at its end. */
export function backendsWithPostgres(): readonly BackendKind[] {
  if (NO_POSTGRES !== false) {
    process.stderr.write(`the suite is not run over PostgreSQL: ${NO_POSTGRES}\n`);
    return BACKENDS;
  }
  let server: Promise<PostgresServer> | undefined;
  const free: string[] = [];
  const create = async (): Promise<Backend> => {
    server ??= startPostgres();
    const url = free.pop() ?? (await (await server).createDatabase());
    return {
      open: (options) => createPostgresStore({ ...options, url, log: silentLog }),
      [Symbol.asyncDispose]: async () => {
        await (await server)?.query(EMPTY, new URL(url).pathname.slice(1));
        free.push(url);
      },
    };
  };
  after(async () => await (await server)?.[Symbol.asyncDispose]());
  return [...BACKENDS, { name: 'PostgreSQL', isLasting: true, turnsPerCommit: 20, create }];
}
