/**
 * Beat front: heartbeats as agents send them, answered before Fastify sees them. It is the one path that the whole fleet takes all the
 * time, and through Fastify it costs more by an eighth to a quarter (docs/benchmarks.md, fleet_beat_cpu_through_fastify).
 *
 * Owns     nothing; it stands before the app's own listener.
 * Never    answers otherwise than Fastify's route would, which takes whatever is out of the ordinary: another media type, an encoded body or
 *          one without a length, who has to be looked up or refused, a request that another server hands on.
 * Callers  app.ts
 */
import type { FastifyInstance } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { TimeTexts } from '../../base/time-texts.ts';
import { FORWARD_KEY_HEADER } from './forward-headers.ts';
import type { Guard } from './guard.ts';
import { sendRawProblem } from './problem-reply.ts';
import { addressOf } from './remote-address.ts';
import { HEARTBEAT_ACCESS, type TakeHeartbeat } from './routes/heartbeats.ts';

const START = '/api/v1/nodes/';
const END = '/heartbeat';
const PLAIN_NAME = /^[a-z0-9.-]{1,253}$/u; // others may be encoded
const LONGEST_BODY = 65_536; // bytes; some fifty times a heartbeat's. A longer one is not looked at here

export interface BeatFrontDeps {
  readonly guard: Guard;
  readonly takeHeartbeat: TakeHeartbeat;
  readonly nextRequestId: (request: IncomingMessage) => string;
  readonly clock: Clock;
  readonly log: Logger;
  /** aborts when the server stops: then connections are to be closed, and Fastify says so */
  readonly stopSignal: AbortSignal;
}

/** `times`: many beats share a millisecond */
type Parts = BeatFrontDeps & { readonly times: TimeTexts };

export function putBeatFront(app: FastifyInstance, deps: BeatFrontDeps): void {
  const { guard, stopSignal } = deps;
  const parts = { ...deps, times: new TimeTexts() };
  app.server.removeAllListeners('request');
  app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const name = nameOf(request);
    if (name !== undefined && !stopSignal.aborted && isPlain(request) && guard.letsInAtOnce(request, HEARTBEAT_ACCESS, name)) {
      receive(parts, name, request, response);
    } else {
      app.routing(request, response);
    }
  });
}

/** Whose heartbeat it is; undefined: it is none. */
function nameOf({ method, url = '' }: IncomingMessage): string | undefined {
  if (method !== 'POST' || !url.startsWith(START) || !url.endsWith(END)) {
    return undefined;
  }
  const name = url.slice(START.length, -END.length);
  return PLAIN_NAME.test(name) ? name : undefined;
}

function isPlain({ headers }: IncomingMessage): boolean {
  return (
    headers['content-type'] === 'application/json' &&
    headers['content-encoding'] === undefined &&
    Number(headers['content-length']) <= LONGEST_BODY &&
    headers[FORWARD_KEY_HEADER] === undefined
  );
}

/** Reads the body, which the HTTP parser ends at its length; of a connection that breaks before nothing is to be answered. */
function receive(deps: Parts, name: string, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [first] = chunks;
    const body = chunks.length > 1 || first === undefined ? Buffer.concat(chunks) : first; // most come in one piece
    answer(deps, { name, text: body.toString('utf8') }, request, response);
  });
}

function answer(
  { takeHeartbeat, nextRequestId, clock, times, log }: Parts,
  { name, text }: { readonly name: string; readonly text: string },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const id = nextRequestId(request);
  const now = times.write(clock.wallMs());
  try {
    const headers = takeHeartbeat(name, text, addressOf(request));
    response.writeHead(204, ['x-request-id', id, 'cache-control', 'no-store', 'cara-time', now, ...headers]).end();
  } catch (error) {
    const headers = { 'x-request-id': id, 'cache-control': 'no-store', 'cara-time': now };
    sendRawProblem(error, { id, method: 'POST', url: request.url ?? '' }, { response, headers, log });
  }
}
