/** The logs of a service: where its Project is, asked of the agent there, handed on as it comes. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OutgoingHttpHeaders } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import Type, { type Static } from 'typebox';
import { findCondition } from '../../../api/condition.ts';
import { ApiError, hasReason } from '../../../api/errors.ts';
import { BATCHED_LOG_RECORDS, CURSOR_EXPECTS, LOG_RECORDS, parseCursor, toLogTime, type LogRecord } from '../../../api/log-record.ts';
import { Closed } from '../../../api/meta.ts';
import type { ProjectObject } from '../../../api/project.ts';
import { parseSince, SINCE_EXPECTS } from '../../../api/since.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Mirror } from '../../../store/mirror.ts';
import type { Store } from '../../../store/store.ts';
import type { Credentials } from '../../auth/credentials.ts';
import type { NodeLinks } from '../../tunnel/node-links.ts';
import { toLogText } from '../log-text.ts';
import { defineRoute, type Route } from '../route.ts';
import { findPlace, type ServicePlace } from '../service-place.ts';
import { untilMoved, type Following } from '../until-moved.ts';

export interface LogRoutesDeps {
  readonly store: Store;
  readonly projectMirror: Pick<Mirror<ProjectObject>, 'onChange'>;
  readonly links: NodeLinks;
  readonly bearers: Pick<Credentials, 'hold'>;
  readonly clock: Clock;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

const MAX_TAIL = 1_000_000;

const LogQuery = Closed({
  follow: Type.Optional(
    Type.Boolean({ description: 'Stay for what is yet to come, through restarts and updates; ends when the Project moves' }),
  ),
  tail: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_TAIL, description: 'Only so many of the last lines' })),
  since: Type.Optional(Type.String({ maxLength: 64, description: `Only what was written since: ${SINCE_EXPECTS}` })),
  timestamps: Type.Optional(Type.Boolean({ description: 'Put the time of each line before it; text only' })),
  previous: Type.Optional(Type.Boolean({ description: 'What was written before the container was started last' })),
  cursor: Type.Optional(Type.String({ maxLength: 256, description: `Go on behind what was read: ${CURSOR_EXPECTS}` })),
});
type LogQuery = Static<typeof LogQuery>;

export function logRoutes(deps: LogRoutesDeps): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/projects/{project}/services/{service}/logs',
      summary: `Read or follow the logs of a service, as text; as JSON lines with times and streams for Accept: ${LOG_RECORDS}`,
      tag: 'projects',
      access: { verb: 'read', resource: 'logs' },
      query: LogQuery,
      answers: {
        200: { description: 'The lines, as they come', schema: Type.String(), mediaType: 'text/plain' },
        404: { description: 'There is no such Project, or no such service in it' },
        409: { description: 'It has no container yet' },
        503: { description: 'There is no way to its node; the answer says since when' },
      },
      handle: async ({ params, query, caller, request, reply }) => {
        const { project = '', service = '' } = params;
        const place = await findPlace(deps.store, { project, service, action: 'read the logs of', caller });
        const { accept = '' } = request.headers;
        const isBatched = !accept.includes(LOG_RECORDS) || accept.includes(BATCHED_LOG_RECORDS); // text is made of any
        const path = `${toAgentPath(place, query, deps.clock.wallMs())}&batched=${isBatched}`;
        return await sendLogs(deps, { place, path, query }, { request, reply });
      },
    }),
  ];
}

/** @throws {ApiError} Invalid */
function toAgentPath({ project, service }: ServicePlace, query: LogQuery, nowMs: number): string {
  const parameters = new URLSearchParams();
  if (query.follow === true && query.previous === true) {
    throw new ApiError('Invalid', 'Cannot follow the logs of what has ended: leave out follow or previous');
  }
  for (const name of ['follow', 'previous'] as const) {
    if (query[name] === true) {
      parameters.set(name, 'true');
    }
  }
  if (query.tail !== undefined) {
    parameters.set('tail', String(query.tail));
  }
  if (query.since !== undefined) {
    parameters.set('since', readSince(query.since, nowMs));
  }
  if (query.cursor !== undefined) {
    if (parseCursor(query.cursor) === undefined) {
      throw new ApiError(
        'Invalid',
        `Cannot read the logs as cursor must be ${CURSOR_EXPECTS}: current value is ${JSON.stringify(query.cursor)}`,
      );
    }
    parameters.set('cursor', query.cursor);
  }
  return `/api/v1/logs/${encodeURIComponent(project.metadata.name)}/${encodeURIComponent(service)}?${parameters.toString()}`;
}

function readSince(text: string, nowMs: number): string {
  const sinceMs = parseSince(text, nowMs);
  const time = toLogTime(text) ?? (sinceMs === undefined ? undefined : toLogTime(new Date(sinceMs).toISOString()));
  if (time === undefined) {
    throw new ApiError('Invalid', `Cannot read the logs as since must be ${SINCE_EXPECTS}: current value is ${JSON.stringify(text)}`);
  }
  return time;
}

interface Asked {
  readonly place: ServicePlace;
  readonly path: string;
  readonly query: LogQuery;
}

async function sendLogs(
  deps: LogRoutesDeps,
  { place, path, query }: Asked,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<FastifyReply> {
  const gone = new AbortController();
  const release = deps.bearers.hold(request.caller, () => gone.abort());
  reply.raw.once('close', () => {
    release();
    gone.abort();
  });
  const following = untilMoved(deps, place.project, AbortSignal.any([gone.signal, deps.stopSignal]));
  const answer = await askAgent(deps.links, { place, path, method: request.method === 'HEAD' ? 'HEAD' : 'GET' }, following.signal);
  answer.once('close', () => following[Symbol.dispose]());
  const isText = !(request.headers.accept ?? '').includes(LOG_RECORDS);
  reply.header('content-type', isText ? 'text/plain; charset=utf-8' : LOG_RECORDS).header('x-accel-buffering', 'no');
  if (request.method === 'HEAD') {
    answer.destroy();
    return reply.send();
  }
  // by hand, as the head must go out at once: a log may have nothing to say for an hour, and clients wait for heads for minutes at most
  reply.hijack();
  reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders);
  reply.raw.flushHeaders();
  const records = handOn(answer, { node: place.node, following });
  pipeline(isText ? toLogText(records, { hasTimes: query.timestamps === true }) : records, reply.raw, () => answer.destroy());
  return reply;
}

interface HandingOn {
  readonly node: string;
  readonly following: Following;
}

/** The agent's records, after one that says where it is; the end of them where the Project went elsewhere. */
async function* handOn(answer: Readable, { node, following }: HandingOn): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify({ type: 'node', name: node } satisfies LogRecord)}\n`);
  try {
    yield* answer as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (!following.hasMoved()) {
      throw error;
    }
  }
}

interface AgentCall {
  readonly place: ServicePlace;
  readonly path: string;
  readonly method: 'GET' | 'HEAD';
}

/** @throws {ApiError} with what the Project says of itself where the service has nothing to show yet */
async function askAgent(links: NodeLinks, { place, path, method }: AgentCall, signal: AbortSignal): Promise<Readable> {
  try {
    return (await links.request(place.node, { method, path }, signal)).body;
  } catch (error) {
    const ready = findCondition(place.project.status.conditions, 'Ready');
    if (hasReason(error, 'NotRunning') && ready?.status === 'False') {
      throw new ApiError('NotRunning', `${error.message}: ${ready.message}`, { cause: error });
    }
    throw error;
  }
}
