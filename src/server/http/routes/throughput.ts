/**
 * Throughput: noise to download and a sink to upload to, for agents that measure their line to the server.
 *
 * Owns     the two places: more tests at once would measure each other, and hold up the fleet's heartbeats.
 * Never    keeps what it gets: bodies here are streams, which is why they may be larger than anywhere else, and are parsed by nobody.
 * Callers  agents, once a day (agent/host/throughput.ts).
 */
import type { FastifyInstance, FastifyReply, HTTPMethods } from 'fastify';
import { addAbortSignal, Readable } from 'node:stream';
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { Closed } from '../../../api/meta.ts';
import { ThroughputReport } from '../../../api/node/throughput-report.ts';
import { MAX_THROUGHPUT_BYTES, THROUGHPUT_PATH } from '../../../api/node/throughput.ts';
import { withDeadline, type Clock } from '../../../base/clock.ts';
import { createNoise } from '../../../base/noise.ts';
import type { Random } from '../../../base/random.ts';
import { checkBodyForm, defineRoute, type Route, type RouteInput } from '../route.ts';

const MAX_TESTS = 2;
const RETRY_AFTER_MS = 10_000; // a test lasts 5 s each way at most
const TIME_LIMIT_MS = 15_000; // three times what an agent takes: a place must not be held by one that reads or sends nothing
const DEFAULT_BYTES = 1024 * 1024;
const BINARY = 'application/octet-stream';

export interface ThroughputDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

const ThroughputQuery = Closed({
  bytes: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_THROUGHPUT_BYTES,
      expects: `a whole number from 1 to ${MAX_THROUGHPUT_BYTES}, default ${DEFAULT_BYTES}`,
    }),
  ),
});

/** For the route table; `registerThroughput` registers them, as the table's own way would read the bodies. */
export function throughputRoutes(deps: ThroughputDeps): readonly Route[] {
  const noise = createNoise(deps.random);
  const places = createPlaces(MAX_TESTS);
  const busy = { description: `${MAX_TESTS} tests are running: try again after Retry-After seconds` };
  const tag = 'agents';
  return [
    defineRoute({
      method: 'GET',
      path: THROUGHPUT_PATH,
      access: { verb: 'report', resource: 'throughput', nodes: 'any' },
      summary: 'Download so many bytes of noise, to measure the line',
      tag,
      query: ThroughputQuery,
      answers: { 200: { description: 'The noise', schema: Type.String(), mediaType: BINARY }, 429: busy },
      handle: ({ query, request, reply }) => {
        const { bytes = DEFAULT_BYTES } = query;
        const body = request.method === 'HEAD' ? undefined : pour(noise(bytes), places.take(), deps);
        return reply
          .headers({ 'content-type': BINARY, 'content-length': bytes })
          .headers({ 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' }) // proxies must neither compress nor collect it
          .send(body);
      },
    }),
    defineRoute({
      method: 'POST',
      path: THROUGHPUT_PATH,
      access: { verb: 'report', resource: 'throughput', nodes: 'any' },
      summary: `Upload at most ${MAX_THROUGHPUT_BYTES} bytes that are thrown away, to measure the line`,
      tag,
      bodies: { [BINARY]: Type.String() },
      answers: {
        200: { description: 'What was received, and how long it took', schema: ThroughputReport },
        413: { description: 'That was more' },
        429: busy,
      },
      handle: async (input) => {
        const release = places.take();
        try {
          return await swallow(input, deps);
        } finally {
          release();
        }
      },
    }),
  ];
}

/** Registers the routes with a body parser of their own, which hands on the stream. No other route's limit changes. */
export function registerThroughput(app: FastifyInstance, routes: readonly Route[]): void {
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, stream, parsed) => parsed(null, stream));
    for (const route of routes) {
      scope.route({
        method: route.method as HTTPMethods,
        url: route.path,
        config: { access: route.access },
        onRequest: (request, _reply, next) => {
          checkBodyForm(Object.keys(route.bodies ?? {}), request);
          next();
        },
        handler: (request, reply) => route.run(request, reply),
      });
    }
    done();
  });
}

/** The chunks as a stream that gives its place back when it ends, however that is. */
function pour(chunks: Iterable<Uint8Array>, release: () => void, { clock, stopSignal }: ThroughputDeps): Readable {
  const deadline = withDeadline(clock, TIME_LIMIT_MS, stopSignal);
  // a chunk at a time, and the next one when the connection has taken the last
  const stream = addAbortSignal(deadline.signal, Readable.from(chunks, { objectMode: false, highWaterMark: 1 }));
  stream.once('close', () => {
    deadline[Symbol.dispose]();
    release();
  });
  return stream;
}

/** Reads the body to its end and forgets it. @throws {ApiError} PayloadTooLarge, or Invalid when it is cut short or takes too long */
async function swallow({ body, request, reply }: RouteInput<unknown>, { clock, stopSignal }: ThroughputDeps): Promise<ThroughputReport> {
  if (!(body instanceof Readable)) {
    return { bytes: 0, ms: 0 }; // there was none
  }
  checkSize(Number(request.headers['content-length'] ?? 0), reply);
  using deadline = withDeadline(clock, TIME_LIMIT_MS, stopSignal);
  const chunks = addAbortSignal(deadline.signal, body).iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  let bytes = 0;
  let firstAtMs: number | undefined;
  try {
    for await (const chunk of chunks) {
      firstAtMs ??= clock.monotonicMs();
      bytes += chunk.length;
      checkSize(bytes, reply);
    }
  } catch (error) {
    const why = deadline.signal.aborted ? `it took longer than ${TIME_LIMIT_MS / 1000} s` : 'it was cut short';
    throw error instanceof ApiError ? error : new ApiError('Invalid', `Cannot measure the upload as ${why}`, { cause: error });
  }
  return { bytes, ms: firstAtMs === undefined ? 0 : clock.monotonicMs() - firstAtMs };
}

function checkSize(bytes: number, reply: FastifyReply): void {
  if (bytes > MAX_THROUGHPUT_BYTES) {
    reply.header('connection', 'close'); // the rest is not worth reading
    throw new ApiError('PayloadTooLarge', `Cannot measure the upload as it is larger than ${MAX_THROUGHPUT_BYTES / 1024 / 1024} MiB`);
  }
}

interface Places {
  /** @returns how to give the place back. @throws {ApiError} TooManyRequests where none is free */
  take(): () => void;
}

function createPlaces(count: number): Places {
  let taken = 0;
  return {
    take: () => {
      if (taken >= count) {
        throw new ApiError(
          'TooManyRequests',
          `Cannot measure throughput as ${count} tests are running: try again in ${RETRY_AFTER_MS / 1000} s`,
          {
            retryAfterMs: RETRY_AFTER_MS,
          },
        );
      }
      taken += 1;
      return () => void (taken -= 1);
    },
  };
}
