/**
 * Streams both ways on the agent's TCP port: GET with `Upgrade: cara-stream` (bytes as they are; what the server asks for) or
 * `Upgrade: websocket` (binary messages, an empty one ending a direction).
 *
 * Owns     the connections that were upgraded, of which node:http knows nothing any more.
 * Callers  agent-server.ts
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApiError, toProblem } from '../../api/errors.ts';
import { STREAM_PROTOCOL } from '../../api/headers.ts';
import { cut } from '../../base/join.ts';
import { MAX_STREAMS } from '../../base/tunnel-settings.ts';
import { WebSocketStream } from '../../base/web-socket.ts';
import { acceptOf } from '../../base/web-socket/handshake.ts';
import type { Dispatcher, Refusal } from './dispatcher.ts';
import { jsonReply } from './route.ts';

export interface Upgrades {
  /** Cuts what is open. */
  close(): void;
}

export function acceptUpgrades(server: Server, dispatcher: Dispatcher): Upgrades {
  const open = new Set<Socket>();
  const stopping = new AbortController();
  server.on('upgrade', (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
    const socket = duplex as Socket; // a plain TCP connection: node:http says Duplex for proxies of its own making
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    if (open.size > MAX_STREAMS) {
      const full = new ApiError('TooManyRequests', `Cannot open another stream to the node as ${MAX_STREAMS} are open: close some`);
      refuse(socket, jsonReply(full.status, toProblem(full), 'application/problem+json'));
      return;
    }
    void serve(request, { socket, head, stopping: stopping.signal }, dispatcher);
  });
  return {
    close: () => {
      stopping.abort();
      for (const socket of open) {
        cut(socket);
      }
    },
  };
}

interface Upgrade {
  readonly socket: Socket;
  readonly head: Buffer;
  readonly stopping: AbortSignal;
}

async function serve(request: IncomingMessage, upgrade: Upgrade, dispatcher: Dispatcher): Promise<void> {
  const { socket, stopping } = upgrade;
  const { url: target = '/', headers } = request;
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, stopping]);
  if (!isOurs(request)) {
    socket.end('HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const header = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  const opened = await dispatcher.open({ method: 'GET', target, header, signal });
  if ('refusal' in opened) {
    refuse(socket, opened.refusal);
    return;
  }
  const stream = accept(request, upgrade);
  stream.on('error', () => undefined); // its end: whoever serves it learns by the signal or by reading
  await serveStream(() => opened.serve(stream, signal), { stream, target, dispatcher });
}

interface Serving {
  readonly stream: Duplex;
  readonly target: string;
  readonly dispatcher: Dispatcher;
}

/** Serves to the end. What fails cuts the stream. */
export async function serveStream(run: () => Promise<void>, { stream, target, dispatcher }: Serving): Promise<void> {
  try {
    await run();
  } catch (error) {
    dispatcher.reportFailure(error, target);
    cut(stream);
  }
}

function refuse(socket: Socket, { status, headers, body }: Refusal): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`);
}

function isOurs({ headers }: IncomingMessage): boolean {
  const protocol = headers.upgrade?.toLowerCase();
  const isWebSocket = protocol === 'websocket' && headers['sec-websocket-key'] !== undefined && headers['sec-websocket-version'] === '13';
  return isWebSocket || protocol === STREAM_PROTOCOL;
}

/** Switches protocols. */
function accept({ headers }: IncomingMessage, { socket, head }: Upgrade): Duplex {
  socket.setTimeout(0);
  socket.setNoDelay(true);
  if (headers.upgrade?.toLowerCase() === STREAM_PROTOCOL) {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${STREAM_PROTOCOL}\r\nConnection: Upgrade\r\n\r\n`);
    if (head.length > 0) {
      socket.unshift(head);
    }
    return socket;
  }
  const answer = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(headers['sec-websocket-key'] ?? '')}`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${answer}\r\n\r\n`);
  return new WebSocketStream({ socket, head, role: 'server' });
}
