/**
 * A PostgreSQL of the test's own: a cluster in a folder that goes with it, on a free port of 127.0.0.1.
 *
 * Owns     the postmaster, started as the user postgres where the test runs as root (it refuses to run as root).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { Client } from 'pg';
import { lastLines, runOrThrow } from '../../../scripts/lib/run.ts';
import { until } from '../../../scripts/lib/wait.ts';
import { makeScratch } from '../scratch.ts';

const LIBRARY = '/usr/lib/postgresql';
const START_TIMEOUT_MS = 60_000;

export interface PostgresOptions {
  /** where its data lie, empty; default: a folder that goes with it */
  readonly dataDir?: string;
  /** false (the default): no fsync, for tests that kill no database */
  readonly isDurable?: boolean;
  /** further settings, such as `max_wal_size=32MB` */
  readonly settings?: readonly string[];
}

export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  /** Makes an empty database. @returns its URL */
  createDatabase(name?: string): Promise<string>;
  /** Runs SQL as the superuser. @param database default postgres */
  query(sql: string, database?: string): Promise<readonly (readonly unknown[])[]>;
  /** kill -9 of the postmaster, as a crash; resolves when it and its children are gone */
  kill(): Promise<void>;
  /** an orderly stop that cuts all connections */
  stop(): Promise<void>;
  /** after `kill` or `stop`; resolves when it answers */
  start(): Promise<void>;
  /** SIGSTOP to every process of it */
  pause(): void;
  resume(): void;
}

/** The folder of the newest PostgreSQL programs on this machine, undefined where there are none. */
export function findPostgresPrograms(): string | undefined {
  if (!existsSync(LIBRARY)) {
    return undefined;
  }
  const versions = readdirSync(LIBRARY).filter(
    (version) => Number(version) >= 15 && existsSync(path.join(LIBRARY, version, 'bin/postgres')),
  );
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : path.join(LIBRARY, newest, 'bin');
}

/** For `{ skip: NO_POSTGRES }`: why the tests that need one are left out here. */
export const NO_POSTGRES: string | false = findPostgresPrograms() === undefined && `no PostgreSQL 15 or newer in ${LIBRARY}`;

export async function startPostgres({ dataDir, isDurable = false, settings = [] }: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = findPostgresPrograms() ?? '';
  const scratch = makeScratch();
  const folder = dataDir ?? path.join(scratch.path, 'pg');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const account = readAccount();
  if (account !== undefined) {
    chownSync(scratch.path, account.uid, account.gid);
    chownSync(folder, account.uid, account.gid);
  }
  const command = (program: string, args: readonly string[]): readonly [string, readonly string[]] => {
    const file = path.join(programs, program);
    const as = ['--reuid', String(account?.uid), '--regid', String(account?.gid), '--clear-groups', file];
    return account === undefined ? [file, args] : ['setpriv', [...as, ...args]];
  };
  await runOrThrow(
    ...command('initdb', ['--pgdata', folder, '--no-sync', '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C']),
  );
  const port = await findFreePort();
  const logFile = path.join(scratch.path, 'postgres.log');
  const all = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${scratch.path}`,
    `fsync=${isDurable ? 'on' : 'off'}`,
    'shared_buffers=32MB',
    'max_connections=60',
    ...settings,
  ];
  let postmaster: ChildProcess | undefined;
  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const query = async (sql: string, database = 'postgres'): Promise<readonly (readonly unknown[])[]> => {
    const client = new Client({ connectionString: urlOf(database), connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const start = async (): Promise<void> => {
    const log = openSync(logFile, 'a');
    const [file, args] = command('postgres', ['-D', folder, ...all.flatMap((setting) => ['-c', setting])]);
    const child = spawn(file, args, { stdio: ['ignore', log, log] });
    postmaster = child;
    await until(
      async () => {
        if (child.exitCode !== null) {
          throw new Error(lastLines(readFileSync(logFile, 'utf8'), 5));
        }
        await query('SELECT 1');
        return true;
      },
      { what: 'PostgreSQL to answer', timeoutMs: START_TIMEOUT_MS },
    );
  };
  const signalAll = (signal: NodeJS.Signals): void => processesOf(postmaster?.pid).forEach((pid) => signalIfThere(pid, signal));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const pids = processesOf(postmaster?.pid);
    postmaster?.kill(signal);
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`) || isZombie(pid)), {
      what: 'PostgreSQL to end',
      timeoutMs: START_TIMEOUT_MS,
    });
  };
  await start();
  let count = 0;
  return {
    port,
    query,
    start,
    createDatabase: async (name = `cara_${(count += 1)}`) => {
      await query(`CREATE DATABASE ${name} STRATEGY file_copy`);
      return urlOf(name);
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGINT'),
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      signalAll('SIGCONT');
      await end('SIGQUIT');
      scratch[Symbol.dispose]();
    },
  };
}

/** Who runs it: the user postgres for root; undefined: whoever runs the test. */
function readAccount(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) {
    return undefined;
  }
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

export async function findFreePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** The postmaster and its children. */
function processesOf(pid: number | undefined): readonly number[] {
  if (pid === undefined) {
    return [];
  }
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...children.split(' ').filter(Boolean).map(Number)];
  } catch {
    return []; // gone
  }
}

function isZombie(pid: number): boolean {
  try {
    return / Z /u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // a child that has just ended
  }
}
