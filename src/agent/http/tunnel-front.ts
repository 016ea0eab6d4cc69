/**
 * The agent's API through the tunnel: HTTP/2 with the roles turned round, the agent being the server on a connection that it opened.
 *
 * Owns     the HTTP/2 session on one tunnel.
 * Callers  session/tunnel.ts by way of compose/link.ts, when the first bytes come: an agent that nobody asks anything never loads HTTP/2.
 * Source   RFC 9113; RFC 8441 for streams both ways (`:protocol`).
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { STREAM_PROTOCOL } from '../../api/headers.ts';
import { CONNECTION_WINDOW_BYTES, MAX_SESSION_MB, TUNNEL_SETTINGS } from '../../base/tunnel-settings.ts';
import type { Dispatcher } from './dispatcher.ts';
import { sendReply } from './send-reply.ts';
import { serveStream } from './upgrade.ts';

/** Serves until the connection ends. */
export function serveTunnel(connection: Duplex, dispatcher: Dispatcher): void {
  const http2 = process.getBuiltinModule('node:http2');
  const session = http2.performServerHandshake(connection, {
    settings: { ...TUNNEL_SETTINGS, enableConnectProtocol: true },
    maxSessionMemory: MAX_SESSION_MB,
  });
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  session.on('stream', (stream, headers) => void serve(stream, headers, dispatcher));
  session.on('error', () => connection.destroy());
  session.on('close', () => connection.destroy());
}

async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, dispatcher: Dispatcher): Promise<void> {
  const gone = new AbortController();
  stream.once('close', () => gone.abort());
  stream.on('error', () => stream.destroy());
  const method = String(headers[':method']);
  const target = String(headers[':path']);
  const header = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  const request = { method, target, header, signal: gone.signal };
  if (method !== 'CONNECT') {
    const reply = await dispatcher.answer(request);
    respond(stream, reply.status, reply.headers);
    await sendReply(reply, stream, { isHead: method === 'HEAD', target, dispatcher });
    return;
  }
  if (headers[':protocol'] !== STREAM_PROTOCOL) {
    respond(stream, 501, {});
    stream.end();
    return;
  }
  const opened = await dispatcher.open(request);
  if ('refusal' in opened) {
    respond(stream, opened.refusal.status, opened.refusal.headers);
    stream.end(opened.refusal.body);
    return;
  }
  respond(stream, 200, {});
  await serveStream(() => opened.serve(stream, gone.signal), { stream, target, dispatcher });
}

/** Unless whoever asked has gone. */
function respond(stream: ServerHttp2Stream, status: number, headers: Readonly<Record<string, string>>): void {
  if (!stream.destroyed && !stream.closed) {
    const { connection: _connection, upgrade: _upgrade, ...rest } = headers; // HTTP/2 has none of these
    stream.respond({ ':status': status, ...rest });
  }
}
