/** `GET /api/v1/logs/{project}/{service}`: a service's log as JSON lines (api/log-record.ts). */
import { PassThrough } from 'node:stream';
import { once } from 'node:events';
import { ApiError } from '../../api/errors.ts';
import { CURSOR_EXPECTS, LOG_PING_MS, LOG_RECORDS, parseCursor, toLogTime, type LogRecord } from '../../api/log-record.ts';
import type { Clock } from '../../base/clock.ts';
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
      return { status: 200, headers, body: toBody(batches, sources.clock, asked.signal) };
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
    return readPrevious(sources, { ...(await findPrevious(sources, name, signal)), tail, since }, signal);
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

const PING = toLine({ type: 'ping' });

/** The records as JSON lines, no faster than they are taken, with a sign of life wherever there is nothing to tell for five seconds. */
function toBody(batches: AsyncIterable<readonly LogRecord[]>, clock: Clock, signal: AbortSignal): PassThrough {
  const body = new PassThrough();
  const closed = new AbortController();
  body.once('close', () => closed.abort());
  body.on('error', () => undefined); // whoever reads it learns; this side ends by 'close'
  let isQuiet = true;
  const pump = async (): Promise<void> => {
    for await (const records of batches) {
      isQuiet = false;
      if (!body.write(records.map(toLine).join(''))) {
        await once(body, 'drain', { signal: closed.signal });
      }
    }
    body.end();
  };
  const tick = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(LOG_PING_MS, AbortSignal.any([signal, closed.signal]));
      if (isQuiet && !body.writableNeedDrain && !body.writableEnded) {
        body.write(PING);
      }
      isQuiet = true;
    }
  };
  pump().catch((error: unknown) => body.destroy(error as Error));
  tick().catch(() => undefined); // aborted: the reading has ended
  return body;
}

function toLine(record: LogRecord): string {
  return `${JSON.stringify(record)}\n`;
}
