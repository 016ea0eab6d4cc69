/**
 * The HTTP app: every request in, every answer out.
 *
 * Owns     Fastify, request ids, the log line and the metrics of requests.
 * Never    gives 5xx for what came from outside, nor a stack trace to anyone.
 * Callers  composition.ts makes it, main.ts listens with it; tests and the simulation call it through inject().
 */
import fastify, { type FastifyInstance, type FastifyRequest, type HTTPMethods } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { nowRfc3339 } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { NOBODY } from '../auth/caller.ts';
import type { Seat } from '../cluster/seat.ts';
import { createSocketServer } from '../tls/sockets.ts';
import type { TlsKeeper } from '../tls/tls-keeper.ts';
import { auditRequest, resultOf } from './audit-requests.ts';
import { putBeatFront } from './beat-front.ts';
import type { Guard } from './guard.ts';
import { parseJsonBody } from './json-body.ts';
import type { Lanes } from './lanes.ts';
import { replyToBrokenRequest, replyWithNoRoute, replyWithProblem } from './problem-reply.ts';
import { checkBodyForm, toFastifyPath, type Route } from './route.ts';
import { createRoutes, type RoutesDeps } from './routes.ts';
import { createTakeHeartbeat, registerHeartbeat } from './routes/heartbeats.ts';
import { registerThroughput } from './routes/throughput.ts';
import { SharedLines } from './shared-lines.ts';
import { takeLane } from './take-lane.ts';
import { enableUpgrades } from './upgrades.ts';

export interface AppDeps extends Omit<RoutesDeps, 'lines'> {
  readonly guard: Guard;
  /** sees each request before anything else does */
  readonly onRequest?: Seat['onRequest'] | undefined;
  /** whether heartbeats are this server's own to take in */
  readonly takesBeats: boolean;
  readonly lanes: Lanes;
  /** undefined: plain HTTP, as also where another socket stands before the app */
  readonly tls?: TlsKeeper | undefined;
}

const BODY_LIMIT_BYTES = 1024 * 1024; // contract

/** What a listening server is made with. */
export const SERVER_OPTIONS = {
  return503OnClosing: false, // what arrived before the stop is still answered; its own 503 would be no problem document
  forceCloseConnections: 'idle',
} as const;

export function createApp(parts: AppDeps): FastifyInstance {
  const deps = { ...parts, lines: new SharedLines() };
  const log = deps.log.child({ component: 'http' });
  const nextRequestId = createRequestIds(deps.random);
  const app = fastify({
    ...SERVER_OPTIONS,
    serverFactory: (handler) => createSocketServer(deps.tls, handler),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: nextRequestId,
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: (error, request, reply) => void replyWithProblem(error, request, reply, log),
    clientErrorHandler: (error, socket) => replyToBrokenRequest(error, socket),
  });
  const routes = createRoutes(deps);
  enableUpgrades(app);
  takeJson(app);
  answerFailures(app, { ...deps, log }, routes.all);
  letIn(app, deps);
  // heartbeats apart: their own body parser, no log line, no timing
  const takeHeartbeat = createTakeHeartbeat(deps);
  registerHeartbeat(app, takeHeartbeat);
  if (deps.takesBeats) {
    putBeatFront(app, { ...deps, log, takeHeartbeat, nextRequestId });
  }
  app.register((scope, _options, done) => {
    observeRequests(scope, { ...deps, log });
    routes.plain.forEach((route) => registerRoute(scope, route, deps));
    registerThroughput(scope, routes.throughput);
    done();
  });
  return app;
}

function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    try {
      done(null, parseJsonBody(body as string, { isSecret: request.url.startsWith('/api/v1/secrets') }));
    } catch (error) {
      done(error as Error);
    }
  });
}

function answerFailures(app: FastifyInstance, { audit, log }: Pick<AppDeps, 'audit' | 'log'>, routes: readonly Route[]): void {
  app.setErrorHandler((error, request, reply) => {
    const answered = replyWithProblem(error, request, reply, log);
    if (reply.statusCode === 401 || reply.statusCode === 403) {
      // here, as the answers to heartbeats are not looked at one by one
      auditRequest(audit, request, { status: reply.statusCode, refusal: error instanceof Error ? error.message : '' });
    }
    return answered;
  });
  app.setNotFoundHandler((request, reply) => replyWithNoRoute(routes, request, reply));
}

/** What comes before any route, or the body: whether another server has to answer, and who is asking. */
function letIn(app: FastifyInstance, { onRequest, guard, clock }: Pick<AppDeps, 'onRequest' | 'guard' | 'clock'>): void {
  app.decorateRequest('caller');
  app.decorateRequest('audit');
  app.decorateRequest('leaveLane');
  if (onRequest !== undefined) {
    app.addHook('onRequest', onRequest); // before the guard: what is handed on is the other server's to judge
  }
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store').header('cara-time', nowRfc3339(clock));
    request.caller = NOBODY;
    guard.check(request, reply, done);
  });
}

function registerRoute(app: FastifyInstance, route: Route, { store, lanes }: Pick<AppDeps, 'store' | 'lanes'>): void {
  const accepted = Object.keys(route.bodies ?? {});
  app.route({
    method: route.method as HTTPMethods,
    url: toFastifyPath(route.path),
    config: { access: route.access },
    onRequest: (request, _reply, done) => {
      checkBodyForm(accepted, request);
      done();
    },
    handler:
      route.path.startsWith('/api/v1/') && route.tag !== 'server'
        ? async (request, reply) => {
            if (!(await takeLane(lanes, route, { request, reply }))) {
              return reply.hijack();
            }
            await store.refresh(); // whatever server has answered whatever before: this answer comes after it
            return await route.run(request, reply);
          }
        : (request, reply) => route.run(request, reply),
  });
}

/** One debug line and two metrics per request, and what the audit wants. */
function observeRequests(app: FastifyInstance, { log, metrics, audit }: Pick<AppDeps, 'log' | 'metrics' | 'audit'>): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    if (reply.statusCode !== 401 && reply.statusCode !== 403) {
      auditRequest(audit, request, { status: reply.statusCode, ...resultOf(reply) });
    }
    const route = request.routeOptions.url ?? 'unknown';
    metrics.httpRequests.inc({ method, route, status: reply.statusCode });
    if (!isWatch(request)) {
      metrics.httpSeconds.observe({ method, route }, reply.elapsedTime / 1000);
    }
    log.debug(
      {
        requestId: request.id,
        method,
        url: request.url.slice(0, 200),
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime),
      },
      'request answered',
    );
    done();
  });
}

function isWatch(request: FastifyRequest): boolean {
  return typeof request.query === 'object' && request.query !== null && ('watch' in request.query || 'follow' in request.query);
}

/** The caller's own X-Request-Id where it is a harmless word, else a number that no other server process gives. */
function createRequestIds(random: Random): (request: IncomingMessage) => string {
  const prefix = random.uuid().slice(0, 8);
  let count = 0;
  return (request) => {
    const given = request.headers['x-request-id'];
    if (typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/u.test(given)) {
      return given;
    }
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
