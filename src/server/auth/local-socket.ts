/**
 * Local socket: the API on DATA_DIR/admin.sock, where whoever may open it is an admin: the user that the server runs as, and root. So an
 * admin who has lost every token makes a new one, without stopping the server.
 *
 * Owns     the socket file, which is its owner's alone, in a folder that is so too.
 * Callers  server/main.ts; token-command.ts is its client; http/guard.ts asks `isLocal`.
 */
import type { FastifyInstance } from 'fastify';
import { chmod, rm } from 'node:fs/promises';
import http from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from '../../base/log.ts';
import type { Caller } from './caller.ts';

const LONGEST_PATH = 107; // bytes; sockaddr_un (unix(7))

const LOCAL_SOCKETS = new WeakSet<Socket>(); // which connections came in there: nothing a client says can put one in

/** Who calls through it. */
export const LOCAL_ADMIN: Caller = {
  kind: 'Person',
  user: 'local',
  role: 'admin',
  rights: [],
  limit: undefined,
  shown: { id: 'local', expiresAtMs: Infinity },
};

export function isLocal(socket: Socket): boolean {
  return LOCAL_SOCKETS.has(socket);
}

export function localSocketPath(dataDir: string): string {
  return join(dataDir, 'admin.sock');
}

/** Listens. @returns what closes it; undefined where there can be no socket, which is logged */
export async function listenLocally(
  app: Pick<FastifyInstance, 'routing'>,
  { dataDir, log }: { readonly dataDir: string; readonly log: Logger },
): Promise<(() => Promise<void>) | undefined> {
  const path = localSocketPath(dataDir);
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    log.warn({ path }, 'no local socket as its path is too long: cara-server token create needs a stopped server');
    return undefined;
  }
  const server = http.createServer((request, reply) => app.routing(request, reply));
  server.on('connection', (socket) => LOCAL_SOCKETS.add(socket));
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  try {
    await rm(path, { force: true }); // one that a killed server left behind
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(path, resolve);
    await promise;
    await chmod(path, 0o600);
  } catch (error) {
    log.warn({ err: error, path }, 'no local socket: cara-server token create needs a stopped server');
    return undefined;
  }
  return async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  };
}
