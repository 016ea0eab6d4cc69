/**
 * Heartbeats: the one path that the whole fleet takes all the time.
 *
 * Never    does I/O, logs, or looks at a body twice: the same text as last time is the same report.
 * Callers  agents, every HEARTBEAT_INTERVAL.
 */
import type { FastifyInstance } from 'fastify';
import { decodeOrThrow } from '../../../api/decode.ts';
import { GRANT_HEADER, HOLD_HEADER, RIVAL_HEADER } from '../../../api/headers.ts';
import { Heartbeat } from '../../../api/node.ts';
import { createReportDecoder } from '../../../api/report.ts';
import type { ServerMetrics } from '../../../base/metrics.ts';
import type { Access } from '../../auth/rules.ts';
import type { NodeRegistry } from '../../nodes/node-registry.ts';
import { parseJsonBody } from '../json-body.ts';
import { addressOf } from '../remote-address.ts';
import { checkMediaType, defineRoute, toFastifyPath, type Route } from '../route.ts';

const PATH = '/api/v1/nodes/{name}/heartbeat';
const ACCESS = { verb: 'report', resource: 'nodes', nodes: 'self' } as const satisfies Access;
const JSON_TYPES = ['application/json'];
const heartbeatDecoder = createReportDecoder(Heartbeat);

/** For the documentation, and for the answer to a wrong method. */
export function describeHeartbeat(): Route {
  return defineRoute({
    method: 'POST',
    path: PATH,
    summary: 'An agent is alive, and what it measured; every field is optional',
    tag: 'agents',
    access: ACCESS,
    bodies: { 'application/json': Heartbeat },
    answers: {
      204: {
        description:
          'Taken in; or, with Cara-Challenge, to be sent again at once with that as identity.answer. Cara-Heartbeat-Timeout: for so many milliseconds from its sending it counts; an agent without it stops what is fenced. Cara-Rival: another machine claims the name and is refused, percent-encoded. Cara-Hold: the sender may be a copy of a machine that is still up, and starts nothing for so many milliseconds',
      },
      404: { description: 'There is no such node: register' },
      409: { description: 'Another machine, which is alive, holds the name: register, later' },
      410: { description: 'The node was deleted: do not register before the next start' },
    },
    handle: () => undefined,
  });
}

/** Registers the route with a body parser of its own, which leaves the text as it is. */
export function registerHeartbeat(app: FastifyInstance, deps: { readonly registry: NodeRegistry; readonly metrics: ServerMetrics }): void {
  const { registry, metrics } = deps;
  const timeout = String(registry.heartbeatTimeoutMs);
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, parsed) => parsed(null, body));
    scope.post<{ Params: { readonly name: string }; Body: string | undefined }>(
      toFastifyPath(PATH),
      {
        config: { access: ACCESS },
        onRequest: (request, _reply, next) => {
          if (request.headers['content-type'] !== 'application/json') {
            checkMediaType(JSON_TYPES, request);
          }
          next();
        },
      },
      (request, reply) => {
        const challenge = registry.recordHeartbeat(request.params.name, request.body ?? '', decodeHeartbeat, addressOf(request));
        if (challenge !== undefined) {
          reply.header('cara-challenge', challenge);
        } else if (registry.grant(request.params.name)) {
          reply.header(GRANT_HEADER, timeout);
        }
        const holdMs = registry.holders.holdMs(request.params.name);
        if (holdMs !== undefined) {
          reply.header(HOLD_HEADER, String(Math.ceil(holdMs)));
        }
        const dispute = registry.holders.findDispute(request.params.name);
        if (typeof dispute === 'object') {
          reply.header(RIVAL_HEADER, encodeURIComponent(dispute.message.toWellFormed())); // a host name is any text
        }
        metrics.heartbeats.inc();
        reply.code(204).send();
      },
    );
    done();
  });
}

function decodeHeartbeat(text: string): Heartbeat {
  return decodeOrThrow(heartbeatDecoder, parseJsonBody(text) ?? {}, 'heartbeat');
}
