/**
 * The HTTP app: every request in, every answer out.
 *
 * Owns     Fastify, request ids, the log line and the metrics of requests.
 * Never    gives 5xx for what came from outside, nor a stack trace to anyone.
 * Callers  composition.ts makes it, main.ts listens with it; tests and the simulation call it through inject().
 */
import fastify, { type FastifyInstance, type FastifyRequest, type HTTPMethods } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { ServerObject } from '../../api/server.ts';
import type { ProjectObject } from '../../api/project.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Cluster } from '../cluster/cluster-record.ts';
import type { Seat } from '../cluster/seat.ts';
import type { EventService } from '../events/event-service.ts';
import type { HeldService } from '../held/held-service.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { NodeService } from '../nodes/node-service.ts';
import type { MoveService } from '../projects/move-service.ts';
import type { ProjectService } from '../projects/project-service.ts';
import type { RolloutService } from '../projects/rollout-service.ts';
import type { SecretService } from '../secrets/secret-service.ts';
import type { SecretUsers } from '../secrets/secret-users.ts';
import type { VolumeService } from '../volumes/volume-service.ts';
import type { AgentCredentials } from '../tunnel/agent-credentials.ts';
import type { NodeLinks } from '../tunnel/node-links.ts';
import type { TunnelRegistry } from '../tunnel/tunnel-registry.ts';
import { NOBODY } from '../auth/caller.ts';
import type { LabelsOf } from '../auth/scope.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { auditRequest, resultOf } from './audit-requests.ts';
import { putBeatFront } from './beat-front.ts';
import { auditRoutes } from './routes/audit.ts';
import type { Credentials } from '../auth/credentials.ts';
import type { LoginLimit } from '../auth/login-limit.ts';
import type { NodeKeys } from '../auth/node-keys.ts';
import type { TokenService } from '../auth/token-service.ts';
import type { Guard } from './guard.ts';
import { authRoutes } from './routes/auth.ts';
import { parseJsonBody } from './json-body.ts';
import { describeApi } from './openapi.ts';
import type { Lanes } from './lanes.ts';
import { replyToBrokenRequest, replyWithNoRoute, replyWithProblem } from './problem-reply.ts';
import { checkMediaType, toFastifyPath, type Route } from './route.ts';
import { SharedLines } from './shared-lines.ts';
import { takeLane } from './take-lane.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { createTakeHeartbeat, describeHeartbeat, registerHeartbeat } from './routes/heartbeats.ts';
import { logRoutes } from './routes/logs.ts';
import { heldRoutes } from './routes/held-projects.ts';
import { moveRoutes } from './routes/moves.ts';
import { nodeKeyRoutes } from './routes/node-keys.ts';
import { nodeStatsRoutes } from './routes/node-stats.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { projectRoutes } from './routes/projects.ts';
import { rolloutRoutes } from './routes/rollouts.ts';
import { reachRoutes } from './routes/reach.ts';
import { registerThroughput, throughputRoutes } from './routes/throughput.ts';
import { secretRoutes } from './routes/secrets.ts';
import { serverRoutes } from './routes/servers.ts';
import { volumeRoutes } from './routes/volumes.ts';
import { tunnelRoutes } from './routes/tunnel.ts';
import type { TlsKeeper } from '../tls/tls-keeper.ts';
import { createSocketServer } from '../tls/sockets.ts';
import { enableUpgrades } from './upgrades.ts';

export interface AppDeps {
  readonly store: Store;
  readonly registry: NodeRegistry;
  readonly nodes: NodeService;
  readonly projects: ProjectService;
  readonly moves: MoveService;
  readonly held: HeldService;
  readonly rollouts: RolloutService;
  readonly events: EventService;
  readonly secrets: SecretService;
  readonly secretUsers: SecretUsers;
  readonly volumes: VolumeService;
  readonly credentials: AgentCredentials;
  readonly tunnels: TunnelRegistry;
  readonly links: NodeLinks;
  readonly projectMirror: Mirror<ProjectObject>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly guard: Guard;
  readonly bearers: Pick<Credentials, 'hold' | 'holdNode'>;
  readonly tokens: TokenService;
  readonly loginLimit: LoginLimit;
  readonly nodeKeys: NodeKeys;
  readonly audit: AuditLog;
  readonly labelsOf: LabelsOf;
  readonly cluster: Cluster;
  /** what is wrong though the server serves, in sentences */
  readonly warnings: () => readonly string[];
  /** aborts when the server stops: ends watches, and readyz says so */
  readonly stopSignal: AbortSignal;
  /** sets the gauges that are counted at each scrape */
  readonly measure: () => Promise<void>;
  readonly listServers: () => Promise<readonly ServerObject[]>;
  /** sees each request before anything else does */
  readonly onRequest?: Seat['onRequest'] | undefined;
  /** whether heartbeats are this server's own to take in */
  readonly takesBeats: boolean;
  readonly lanes: Lanes;
  /** undefined: plain HTTP, as also where another socket stands before the app */
  readonly tls?: TlsKeeper | undefined;
  /** authorities that clients of this server may pin, in PEM */
  readonly authorities?: () => readonly string[];
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
  const throughput = throughputRoutes(deps);
  const routes: readonly Route[] = [
    ...healthRoutes({ ...deps, describeApi: () => describeApi(routes) }),
    ...nodeRoutes(deps),
    describeHeartbeat(),
    ...projectRoutes(deps),
    ...moveRoutes(deps),
    ...heldRoutes(deps),
    ...rolloutRoutes(deps),
    ...eventRoutes(deps),
    ...throughput,
    ...secretRoutes(deps),
    ...volumeRoutes(deps),
    ...tunnelRoutes(deps),
    ...authRoutes(deps),
    ...serverRoutes(deps),
    ...logRoutes(deps),
    ...nodeKeyRoutes(deps),
    ...auditRoutes(deps),
    ...reachRoutes(deps),
    ...nodeStatsRoutes(deps),
  ];

  enableUpgrades(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    try {
      done(null, parseJsonBody(body as string, { isSecret: request.url.startsWith('/api/v1/secrets') }));
    } catch (error) {
      done(error as Error);
    }
  });
  app.setErrorHandler((error, request, reply) => {
    const answered = replyWithProblem(error, request, reply, log);
    if (reply.statusCode === 401 || reply.statusCode === 403) {
      // here, as the answers to heartbeats are not looked at one by one
      auditRequest(deps.audit, request, { status: reply.statusCode, refusal: error instanceof Error ? error.message : '' });
    }
    return answered;
  });
  app.setNotFoundHandler((request, reply) => replyWithNoRoute(routes, request, reply));
  app.decorateRequest('caller');
  app.decorateRequest('audit');
  app.decorateRequest('leaveLane');
  if (deps.onRequest !== undefined) {
    app.addHook('onRequest', deps.onRequest); // before the guard: what is handed on is the other server's to judge
  }
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store').header('cara-time', nowRfc3339(deps.clock));
    request.caller = NOBODY;
    deps.guard.check(request, reply, done);
  });
  // heartbeats apart: their own body parser, no log line, no timing
  const takeHeartbeat = createTakeHeartbeat(deps);
  registerHeartbeat(app, takeHeartbeat);
  if (deps.takesBeats) {
    putBeatFront(app, { ...deps, log, takeHeartbeat, nextRequestId });
  }
  app.register((scope, _options, done) => {
    observeRequests(scope, { ...deps, log });
    routes.filter((route) => !isHeartbeat(route) && !throughput.includes(route)).forEach((route) => registerRoute(scope, route, deps));
    registerThroughput(scope, throughput); // its bodies are streams
    done();
  });
  return app;
}

function isHeartbeat(route: Route): boolean {
  return route.path === describeHeartbeat().path;
}

function registerRoute(app: FastifyInstance, route: Route, { store, lanes }: Pick<AppDeps, 'store' | 'lanes'>): void {
  const accepted = Object.keys(route.bodies ?? {});
  app.route({
    method: route.method as HTTPMethods,
    url: toFastifyPath(route.path),
    config: { access: route.access },
    ...(accepted.length > 0 && {
      onRequest: (request, _reply, done) => {
        checkMediaType(accepted, request);
        done();
      },
    }),
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
