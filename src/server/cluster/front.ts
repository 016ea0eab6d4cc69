/**
 * Front: the one socket of a server whose role may change; each role has an app of its own.
 *
 * Owns     the listening server. Answers that the app of an earlier role has begun go on: they end by themselves.
 * Callers  start-cluster.ts
 */
import fastify, { type FastifyInstance } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { replyToBrokenRequest, sendUnavailable } from '../http/problem-reply.ts';
import { SERVER_OPTIONS } from '../http/app.ts';
import { createSocketServer } from '../tls/sockets.ts';
import type { TlsKeeper } from '../tls/tls-keeper.ts';

export interface Front {
  /** listens and closes; its routes are those of whatever app is in use */
  readonly app: FastifyInstance;
  /** that of the present role */
  readonly current: () => FastifyInstance | undefined;
  /** From now on requests are `app`'s. @param upgrade sees requests for another protocol first; true: it has taken it */
  use(app: FastifyInstance, upgrade?: UpgradeTaker): Promise<void>;
}

export type UpgradeTaker = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

/** @param tls undefined: plain HTTP */
export function createFront(tls: TlsKeeper | undefined): Front {
  let current: FastifyInstance | undefined;
  let takeUpgrade: UpgradeTaker | undefined;
  const dispatch = (request: IncomingMessage, response: ServerResponse): void => {
    if (current === undefined) {
      sendUnavailable(response, 'Cannot serve yet as the server is starting');
    } else {
      current.server.emit('request', request, response);
    }
  };
  const app = fastify({
    ...SERVER_OPTIONS,
    serverFactory: () => createSocketServer(tls, dispatch),
    clientErrorHandler: (error, socket) => replyToBrokenRequest(error, socket),
  });
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (takeUpgrade?.(request, socket, head) !== true && current?.server.emit('upgrade', request, socket, head) !== true) {
      socket.destroy(); // nobody takes it
    }
  });
  return {
    app,
    current: () => current,
    use: async (next, upgrade) => {
      await next.ready();
      current = next;
      takeUpgrade = upgrade;
    },
  };
}
