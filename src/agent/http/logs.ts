/** `GET /api/v1/logs/{project}/{service}`: a service's log as JSON lines (api/log-record.ts). */
import { ApiError } from '../../api/errors.ts';
import { CURSOR_EXPECTS, LOG_RECORDS, parseCursor, toLogTime, type LogRecord } from '../../api/log-record.ts';
import { toLogBody } from './log-body.ts';
import { readLog, type LogRequest, type LogSources } from './log-reading.ts';
import { findPrevious, readPrevious } from './log-previous.ts';
import type { AgentRequest, Route } from './route.ts';
import { findContainer, serviceOf } from './service-container.ts';

export function logRoute(sources: LogSources): Route {
  return {
    kind: 'reply',
    path: /^\/api\/v1\/logs\/(?<project>[^/]+)\/(?<service>[^/]+)$/u,
    handle: async (asked) => {
      const request = readRequest(asked);
      const batches = await chooseReading(
        sources,
        { ...request, isPrevious: asked.url.searchParams.get('previous') === 'true' },
        asked.signal,
      );
      const headers = { 'content-type': LOG_RECORDS };
      const isBatched = asked.url.searchParams.get('batched') === 'true';
      return { status: 200, headers, body: toLogBody(batches, { clock: sources.clock, isBatched }, asked.signal) };
    },
  };
}

/** @throws {ApiError} NotRunning where there is nothing to read, and nobody waits for it */
async function chooseReading(
  sources: LogSources,
  { isPrevious, ...request }: LogRequest & { readonly isPrevious: boolean },
  signal: AbortSignal,
): Promise<AsyncIterable<readonly LogRecord[]>> {
  const { name, follow, tail, since } = request;
  if (isPrevious) {
    return readPrevious(sources, { run: await findPrevious(sources, name, signal), tail, since }, signal);
  }
  if (!follow && (await findContainer(sources, name, signal)) === undefined) {
    throw new ApiError('NotRunning', `Cannot read the logs of ${name.project}/${name.service} as it has no container on this node yet`);
  }
  return readLog(sources, request, signal);
}

function readRequest({ url: { searchParams: query }, params }: AgentRequest): LogRequest {
  const tail = query.get('tail');
  const since = query.get('since');
  const cursor = query.get('cursor');
  return {
    name: serviceOf(params),
    follow: query.get('follow') === 'true',
    tail: tail === null ? undefined : check('tail', tail, 'a whole number', /^\d{1,9}$/u.test(tail) ? Number(tail) : undefined),
    since: since === null ? undefined : check('since', since, 'an RFC 3339 time', toLogTime(since)),
    cursor: cursor === null ? undefined : check('cursor', cursor, CURSOR_EXPECTS, parseCursor(cursor)),
  };
}

function check<Value>(name: string, text: string, expects: string, value: Value | undefined): Value {
  if (value === undefined) {
    throw new ApiError('Invalid', `Cannot read the logs as ${name} must be ${expects}: current value is ${JSON.stringify(text)}`);
  }
  return value;
}
