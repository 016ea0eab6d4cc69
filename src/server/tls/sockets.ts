/**
 * Sockets: the listening server, with or without TLS, and how much anybody may ask of it at once.
 *
 * Owns     time limits for slow clients, the most connections, and what who speaks plain HTTP on a TLS port is told.
 * Callers  http/app.ts, cluster/front.ts
 */
import { readFileSync } from 'node:fs';
import http, { type RequestListener, type Server } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { ApiError, toProblem } from '../../api/errors.ts';
import { PROBLEM_TYPE } from '../http/problem-reply.ts';
import type { TlsKeeper } from './tls-keeper.ts';

/** What a listening server is made with. Streams are bound by none of these: their requests have arrived whole. */
const LIMITS = {
  /** ms; for the whole of a request to arrive, so that slow senders do not hold connections */
  requestTimeout: 60_000,
  /** ms; for its headers */
  headersTimeout: 20_000,
  /** ms; how late the two above may act */
  connectionsCheckingInterval: 5_000,
  /** ms; agents and proxies keep their connections between two heartbeats */
  keepAliveTimeout: 72_000,
  /** bytes, with the URL */
  maxHeaderSize: 16 * 1024,
  /** two of a header that there is one of, such as Host, are seen as such, and refused; Node would drop the second */
  joinDuplicateHeaders: true,
} as const;

/** ms; from connecting until TLS is agreed on. */
const HANDSHAKE_MS = 10_000;
/** Beyond any fleet that one server is for: some three connections an agent. */
const MOST_CONNECTIONS = 100_000;
/** Files that the server needs beside its connections. */
const OTHER_FILES = 256;
/** First byte of a TLS record that begins a handshake. Source: RFC 8446 section 5.1 */
const HANDSHAKE_RECORD = 0x16;

/** @param tls undefined: plain HTTP */
export function createSocketServer(tls: TlsKeeper | undefined, handle: RequestListener): Server {
  const server = tls === undefined ? http.createServer(LIMITS, handle) : createTlsServer(tls, handle);
  server.maxConnections = Math.max(OTHER_FILES, Math.min(MOST_CONNECTIONS, readMostFiles() - OTHER_FILES));
  return server;
}

function createTlsServer(tls: TlsKeeper, handle: RequestListener): Server {
  const server = https.createServer(
    { ...LIMITS, ...tls.contextOptions(), handshakeTimeout: HANDSHAKE_MS, ALPNProtocols: ['http/1.1'] },
    handle,
  );
  const accept = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    receive(socket, () => {
      for (const listener of accept) {
        Reflect.apply(listener, server, [socket]);
      }
    });
  });
  tls.attach(server);
  return server;
}

/** Waits for the first byte: who speaks no TLS is told so, in words. */
function receive(socket: Socket, proceed: () => void): void {
  const drop = (): void => void socket.destroy();
  socket.setTimeout(HANDSHAKE_MS, drop);
  socket.once('error', drop);
  socket.once('data', (chunk: Buffer) => {
    socket.off('error', drop);
    socket.off('timeout', drop);
    socket.setTimeout(0);
    socket.pause();
    if (chunk[0] === HANDSHAKE_RECORD) {
      socket.unshift(chunk);
      proceed();
    } else {
      socket.on('error', drop);
      socket.end(plainAnswer());
    }
  });
}

function plainAnswer(): string {
  const failure = new ApiError(
    'Invalid',
    'Cannot answer as this port speaks TLS alone: write https:// for http:// in the URL. What was sent with the request, such as a token, went unencrypted: revoke it',
  );
  const body = JSON.stringify(toProblem(failure));
  return `HTTP/1.1 400 Bad Request\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** How many files this process may have open. */
function readMostFiles(): number {
  try {
    const [, hard] = /^Max open files\s+\S+\s+(\S+)/mu.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return hard === undefined || hard === 'unlimited' ? MOST_CONNECTIONS : Number(hard); // Node raises its soft limit to the hard one
  } catch {
    return MOST_CONNECTIONS; // no Linux
  }
}
