/** Opens a WebSocket to the server. Callers: transport.ts, agent/session/dial-tunnel.ts. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError, fromProblem } from '../api/errors.ts';
import { withDeadline, type Clock } from '../base/clock.ts';
import { parseJson } from '../base/parse-json.ts';
import { WebSocketStream } from '../base/web-socket.ts';
import { acceptOf, newWebSocketKey } from '../base/web-socket/handshake.ts';
import { toFailure } from './network-failure.ts';
import type { TlsRequestOptions, Trust } from './trust.ts';

const MAX_PROBLEM_BYTES = 64 * 1024;

export interface WebSocketCall {
  /** without a slash at its end */
  readonly serverUrl: string;
  /** path and query */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** until the server has answered */
  readonly timeoutMs: number;
  /** what cannot be done without it, such as "open the tunnel" */
  readonly action: string;
  readonly onHeard: () => void;
  /** whether what answers is the server; default: what Node believes */
  readonly trust?: Trust | undefined;
  /** as in WebSocketOptions */
  readonly endsWhole?: boolean;
  readonly clock: Clock;
}

/** @throws {ApiError} what the server refuses; Unavailable when it cannot be reached */
export async function openWebSocket(call: WebSocketCall, signal: AbortSignal): Promise<WebSocketStream> {
  const { serverUrl, path, action, timeoutMs, trust } = call;
  using deadline = withDeadline(call.clock, timeoutMs, signal);
  const key = newWebSocketKey();
  const headers = {
    ...call.headers,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    accept: 'application/problem+json',
  };
  try {
    const tls = (await trust?.optionsFor(serverUrl, deadline.signal)) ?? {};
    const { answer, socket, head } = await upgrade({ url: `${serverUrl}${path}`, headers, action, tls }, deadline.signal);
    if (answer.headers['sec-websocket-accept'] !== acceptOf(key)) {
      socket.destroy();
      throw new ApiError('Unavailable', `Cannot ${action} as ${serverUrl} does not speak WebSocket: a proxy may listen there`);
    }
    return new WebSocketStream({
      socket,
      head,
      role: 'client',
      onHeard: call.onHeard,
      ...(call.endsWhole === true && { endsWhole: true }),
    });
  } catch (error) {
    throw toFailure(trust?.explain(error, serverUrl) ?? error, { serverUrl, timeoutMs, signal });
  }
}

interface Upgraded {
  readonly answer: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
}

interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly action: string;
  readonly tls: TlsRequestOptions;
}

/** @throws {ApiError} what is answered instead of 101 */
async function upgrade({ url, headers, action, tls }: Request, signal: AbortSignal): Promise<Upgraded> {
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  const sent = request(url, { ...tls, headers, agent: false, signal });
  sent.on('error', reject);
  sent.on('upgrade', (answer, socket, head) => resolve({ answer, socket, head }));
  sent.on('response', (answer) => {
    readProblem(answer, action).then(reject, reject);
  });
  sent.end();
  return await promise;
}

async function readProblem(answer: IncomingMessage, action: string): Promise<ApiError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_PROBLEM_BYTES) {
      break;
    }
    chunks.push(chunk);
  }
  const status = answer.statusCode ?? 0;
  const retryAfter = answer.headers['retry-after'] ?? '';
  const retryAfterMs = /^\d{1,6}$/u.test(retryAfter) ? { retryAfterMs: Number(retryAfter) * 1000 } : {};
  if (status < 400) {
    const detail = `Cannot ${action} as the server answered HTTP ${status}: a proxy in between may not pass WebSocket upgrades`;
    return new ApiError('Unavailable', detail);
  }
  return fromProblem(status, parseJson(Buffer.concat(chunks).toString()), retryAfterMs);
}
