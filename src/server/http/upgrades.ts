/**
 * Upgrades: requests that become connections of another protocol. They go through the app like any other (hooks, route table, problem
 * documents), and a route that wants the connection takes it.
 *
 * Owns     request -> its connection, until it is taken or answered.
 * Callers  app.ts; routes that speak WebSocket.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError } from '../../api/errors.ts';
import { acceptOf } from '../../base/web-socket/handshake.ts';

export interface Upgrade {
  readonly socket: Socket;
  /** what came with the request */
  readonly head: Buffer;
}

interface Waiting extends Upgrade {
  readonly response: ServerResponse;
}

const waiting = new WeakMap<IncomingMessage, Waiting>();

/** Lets the app answer requests for an upgrade. */
export function enableUpgrades(app: FastifyInstance): void {
  app.server.on('upgrade', (request, duplex, head: Buffer) => {
    const socket = duplex as Socket; // a plain connection, or one with TLS
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false; // node:http reads no further request from it
    response.assignSocket(socket);
    response.once('finish', () => socket.end());
    waiting.set(request, { socket, head, response });
    app.routing(request, response);
  });
}

/** For what begins before the connection is taken. @throws {ApiError} UpgradeRequired when the request is a plain one */
export function checkUpgrade(request: FastifyRequest, reply: FastifyReply): Upgrade & Pick<Waiting, 'response'> {
  const found = waiting.get(request.raw);
  if (found === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket') {
    reply.header('upgrade', 'websocket').header('connection', 'upgrade');
    throw new ApiError(
      'UpgradeRequired',
      `Cannot ${request.method} ${request.url.split('?', 1)[0]} as it is a stream: ask for a WebSocket`,
    );
  }
  return found;
}

/** Takes the connection of a request, which is a WebSocket from then on. @throws {ApiError} UpgradeRequired when it is a plain one */
export function takeUpgrade(request: FastifyRequest, reply: FastifyReply): Upgrade {
  const found = checkUpgrade(request, reply);
  const key = request.headers['sec-websocket-key'] ?? '';
  waiting.delete(request.raw);
  reply.hijack();
  found.response.detachSocket(found.socket);
  const head = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}`;
  found.socket.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n\r\n`);
  return { socket: found.socket, head: found.head };
}
