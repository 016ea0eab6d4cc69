/**
 * Forwarding: what only the leader can answer, handed on to it as it came.
 *
 * Owns     connections to the leader, kept open.
 * Never    forwards what was forwarded: where two servers take each other for the leader, the caller hears 503 and tries again. Never
 *          looks at a body.
 * Callers  start-cluster.ts, for a server that does not lead.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import { getCACertificates } from 'node:tls';
import type { Duplex } from 'node:stream';
import { ApiError } from '../../api/errors.ts';
import { FORWARD_KEY_HEADER } from '../http/forward-headers.ts';
import { addressOf, setForwardedAddress } from '../http/remote-address.ts';

/** the address that it came from */
const FROM_HEADER = 'cara-forwarded-for';

/** ms; a leader that does not answer a heartbeat or a registration within this is as good as none. */
const ANSWER_TIMEOUT_MS = 10_000;
/** ms; asked of callers while there is no leader. */
const RETRY_AFTER_MS = 1_000;
const MAX_CONNECTIONS = 128;

/** Of one hop alone. Source: RFC 9110 section 7.6.1 */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What of `http.request` forwarding uses; a port. */
export type OpenRequest = (
  url: URL,
  request: { readonly method: string | undefined; readonly path: string | undefined; readonly headers: OutgoingHttpHeaders },
) => http.ClientRequest;

export interface ForwarderOptions {
  /** where the leader is; undefined: there is none, or it is this server itself */
  readonly findLeaderUrl: () => Promise<string | undefined>;
  /** known to the servers of the cluster alone */
  readonly key: string;
  /** where the leader speaks TLS: what its certificate comes from, in PEM; none: what everybody knows */
  readonly authorities: () => readonly string[];
  /** given by the simulation; default: HTTP */
  readonly request?: OpenRequest | undefined;
}

export interface Forwarder {
  /** Hands the request on and answers with what comes. @throws {ApiError} Unavailable */
  forward(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Hands on a connection that asks for another protocol. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  close(): void;
}

/**
 * Tells whether only the leader can answer: what depends on who is alive, or on connections that agents hold to it. Lists and reads of nodes
 * too, as it alone knows when each was last heard; watches anybody can serve.
 */
export function isForLeader(method: string, url: string): boolean {
  const [path = '', query = ''] = url.split('?', 2);
  if (/^\/api\/v1\/projects\/[^/]+\/services\//u.test(path)) {
    return true;
  }
  if (!/^\/api\/v1\/nodes(?:\/|$)/u.test(path)) {
    return false;
  }
  const watch = new URLSearchParams(query).get('watch');
  return method !== 'GET' || watch === null || watch === 'false';
}

/** Takes in what a forwarding server says of a request, if it is one; anybody else's word is taken off. @returns whether it was forwarded */
export function receiveForwarded(request: IncomingMessage, key: string): boolean {
  const given = request.headers[FORWARD_KEY_HEADER];
  const address = request.headers[FROM_HEADER];
  delete request.headers[FORWARD_KEY_HEADER];
  delete request.headers[FROM_HEADER];
  if (typeof given !== 'string' || !isSame(given, key)) {
    return false;
  }
  if (typeof address === 'string') {
    setForwardedAddress(request, address);
  }
  return true;
}

function isSame(given: string, key: string): boolean {
  const [a, b] = [given, key].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

export function createForwarder({ findLeaderUrl, key, authorities, request: openRequest }: ForwarderOptions): Forwarder {
  const options = { keepAlive: true, maxSockets: MAX_CONNECTIONS };
  const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) };

  async function requireLeader(): Promise<URL> {
    const url = await findLeaderUrl();
    if (url === undefined) {
      throw noLeader('as no server leads at this moment');
    }
    return new URL(url);
  }

  function headersFor(request: IncomingMessage, address: string | undefined): OutgoingHttpHeaders {
    const own = Object.entries(request.headers).filter(([name]) => !HOP_HEADERS.has(name));
    return { ...Object.fromEntries(own), [FORWARD_KEY_HEADER]: key, ...(address !== undefined && { [FROM_HEADER]: address }) };
  }

  function open(url: URL, request: IncomingMessage, headers: OutgoingHttpHeaders): http.ClientRequest {
    const isTls = url.protocol === 'https:';
    if (openRequest !== undefined) {
      return openRequest(url, { method: request.method, path: request.url, headers });
    }
    return (isTls ? https : http).request({
      agent: isTls ? agents['https:'] : agents['http:'],
      hostname: url.hostname.replaceAll(/[[\]]/gu, ''),
      port: url.port === '' ? (isTls ? 443 : 80) : url.port,
      method: request.method,
      path: request.url,
      headers,
      ...(isTls && { ca: listAuthorities(authorities()) }), // the key of the cluster goes to a server of it alone
    });
  }

  return {
    forward: async (request, reply) => {
      const leader = await requireLeader();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const sent = open(leader, request.raw, headersFor(request.raw, addressOf(request)));
      sent.setTimeout(ANSWER_TIMEOUT_MS, () => sent.destroy(new Error(`it did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`)));
      sent.on('error', (error) => {
        if (reply.sent) {
          request.raw.socket.destroy();
        }
        reject(noLeader(`to the leader at ${leader.href} as ${error.message}`, error));
      });
      sent.on('response', (answer) => {
        sent.setTimeout(0);
        reply.hijack();
        const headers = Object.entries(answer.headers).filter(([name]) => !HOP_HEADERS.has(name));
        reply.raw.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers));
        answer.pipe(reply.raw);
        answer.on('error', () => reply.raw.destroy());
        reply.raw.on('close', () => answer.destroy());
        resolve();
      });
      request.raw.on('close', () => (request.raw.complete ? undefined : sent.destroy()));
      request.raw.pipe(sent);
      await promise;
    },
    upgrade: async (request, socket, head) => {
      const leader = await requireLeader();
      const address = addressOf({ socket: request.socket });
      const sent = open(leader, request, {
        ...headersFor(request, address),
        connection: 'upgrade',
        upgrade: request.headers.upgrade ?? 'websocket',
      });
      sent.on('error', () => socket.destroy());
      sent.on('response', (answer) => {
        socket.write(formatHead(answer)); // it refuses: say so, as it did
        answer.pipe(socket);
      });
      sent.on('upgrade', (answer, leaderSocket, leaderHead) => {
        socket.write(formatHead(answer));
        socket.write(leaderHead);
        leaderSocket.write(head);
        leaderSocket.pipe(socket).pipe(leaderSocket);
        for (const [one, other] of [
          [socket, leaderSocket],
          [leaderSocket, socket],
        ] as const) {
          one.on('error', () => other.destroy());
          one.on('close', () => other.destroy());
        }
      });
      sent.end();
    },
    close: () => Object.values(agents).forEach((agent) => agent.destroy()),
  };
}

function listAuthorities(own: readonly string[]): string[] {
  return own.length > 0 ? [...own] : [...getCACertificates('default'), ...getCACertificates('system')];
}

function noLeader(why: string, cause?: unknown): ApiError {
  return new ApiError('Unavailable', `Cannot hand the request on ${why}, try again`, { cause, retryAfterMs: RETRY_AFTER_MS });
}

function formatHead({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
