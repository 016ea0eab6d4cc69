/**
 * The way in for `cara-server backup` while a server runs: a socket in the data folder, which the file system lets nobody but its owner
 * use. It gives the bytes of a backup, and whoever asked writes them where it likes, as itself.
 *
 * Never    takes a path, or anything else, from the one who asks.
 * Callers  start-backups.ts listens; backup-commands.ts asks.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from '../../base/log.ts';

/** Bytes; a socket's path has room for no more (unix(7)). */
const MAX_PATH = 107;

function socketPath(dataDir: string): string {
  return join(dataDir, 'backup.sock');
}

export interface BackupSocket {
  close(): Promise<void>;
}

/** Listens until closed. What hinders it costs no more than this way in, and is logged. @param open gives the bytes of a new backup */
export async function listenForBackups(dataDir: string, open: () => Promise<NodeJS.ReadableStream>, log: Logger): Promise<BackupSocket> {
  const path = socketPath(dataDir);
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    connection.on('error', () => undefined); // whoever asked has gone
    open().then(
      (bytes) => {
        bytes.once('error', (error) => connection.destroy(error));
        bytes.pipe(connection);
      },
      (error: unknown) => {
        log.warn({ err: error }, 'backup not given');
        connection.destroy();
      },
    );
  });
  const listening = Promise.withResolvers<void>();
  server.once('listening', listening.resolve).once('error', listening.reject);
  try {
    if (Buffer.byteLength(path) > MAX_PATH) {
      throw new Error(`Cannot listen on ${path} as the path of a socket has ${MAX_PATH} bytes at most: choose a shorter DATA_DIR`);
    }
    rmSync(path, { force: true }); // of a server that was killed: whoever comes this far holds the store
    server.listen(path);
    await listening.promise;
    chmodSync(path, 0o600);
  } catch (error) {
    log.warn({ path, detail: String(error) }, 'no backups by command while the server runs');
  }
  return {
    close: async () => {
      connections.forEach((connection) => connection.destroy());
      if (server.listening) {
        const { promise, resolve } = Promise.withResolvers<void>();
        server.close(() => resolve());
        await promise;
      }
    },
  };
}

/** @returns the bytes of a backup from the server that runs on this data folder; undefined: none does */
export async function askForBackup(dataDir: string): Promise<NodeJS.ReadableStream | undefined> {
  const connection = createConnection(socketPath(dataDir));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  connection.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return (await promise) ? connection : undefined;
}
