/** Opens the tunnel's WebSocket to the server. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError, fromProblem, hasReason } from '../../api/errors.ts';
import { AGENT_CREDENTIAL_HEADER } from '../../api/headers.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import { TUNNEL_PATH } from '../../base/tunnel-settings.ts';
import { acceptOf, newWebSocketKey, WebSocketStream } from '../../base/web-socket.ts';
import { ServerChoice } from '../../client/server-choice.ts';
import { toFailure } from '../../client/transport.ts';
import type { DialTunnel } from './tunnel.ts';

const TIMEOUT_MS = 10_000;
const MAX_PROBLEM_BYTES = 64 * 1024;

export interface DialOptions {
  /** one URL, or several apart by commas */
  readonly serverUrl: string;
  readonly nodeName: string;
  readonly userAgent: string;
  /** undefined: the server asks for none */
  readonly token?: () => string | undefined;
  readonly clock: Clock;
}

export function createTunnelDialer({ serverUrl: serverUrls, nodeName, userAgent, token, clock }: DialOptions): DialTunnel {
  const servers = new ServerChoice(serverUrls);
  return async ({ credential, onHeard }, signal) => {
    const serverUrl = servers.current;
    const url = `${serverUrl}/api/v1/nodes/${encodeURIComponent(nodeName)}/${TUNNEL_PATH}`;
    using deadline = withDeadline(clock, TIMEOUT_MS, signal);
    const key = newWebSocketKey();
    const bearer = token?.();
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      'user-agent': userAgent,
      accept: 'application/problem+json',
      [AGENT_CREDENTIAL_HEADER]: credential,
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    };
    try {
      const { answer, socket, head } = await upgrade(url, headers, deadline.signal);
      if (answer.headers['sec-websocket-accept'] !== acceptOf(key)) {
        socket.destroy();
        throw new ApiError('Unavailable', `Cannot open the tunnel as ${serverUrl} does not speak WebSocket: a proxy may listen there`);
      }
      return new WebSocketStream({ socket, head, role: 'client', onHeard });
    } catch (error) {
      const failure = toFailure(error, { serverUrl, timeoutMs: TIMEOUT_MS, signal });
      if (hasReason(failure, 'Unavailable')) {
        servers.moveOn(serverUrl);
      }
      throw failure;
    }
  };
}

interface Upgraded {
  readonly answer: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
}

/** @throws {ApiError} what is answered instead of 101 */
async function upgrade(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Upgraded> {
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  const sent = request(url, { headers, agent: false, signal });
  sent.on('error', reject);
  sent.on('upgrade', (answer, socket, head) => resolve({ answer, socket, head }));
  sent.on('response', (answer) => {
    readProblem(answer).then(reject, reject);
  });
  sent.end();
  return await promise;
}

async function readProblem(answer: IncomingMessage): Promise<ApiError> {
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
    const detail = `Cannot open the tunnel as the server answered HTTP ${status}: a proxy in between may not pass WebSocket upgrades`;
    return new ApiError('Unavailable', detail);
  }
  return fromProblem(status, parse(Buffer.concat(chunks).toString()), retryAfterMs);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a proxy's page: the status alone speaks
  }
}
