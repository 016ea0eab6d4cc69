/**
 * Heartbeats: the one path that the whole fleet takes all the time.
 *
 * Never    does I/O, logs, or looks at a body twice: the same text as last time is the same report.
 * Callers  agents, every HEARTBEAT_INTERVAL; of most of them through ../beat-front.ts, before Fastify sees them.
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
import { checkBodyForm, defineRoute, toFastifyPath, type Route } from '../route.ts';

const PATH = '/api/v1/nodes/{name}/heartbeat';
export const HEARTBEAT_ACCESS = { verb: 'report', resource: 'nodes', nodes: 'self' } as const satisfies Access;
const JSON_TYPES = ['application/json'];
const heartbeatDecoder = createReportDecoder(Heartbeat);

/** For the documentation, and for the answer to a wrong method. */
export function describeHeartbeat(): Route {
  return defineRoute({
    method: 'POST',
    path: PATH,
    summary: 'An agent is alive, and what it measured; every field is optional',
    tag: 'agents',
    access: HEARTBEAT_ACCESS,
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

/**
 * Takes in a heartbeat.
 * @param text the body, as it was sent
 * @returns headers of the answer, 204: name, value, name, value and so on
 * @throws {ApiError}
 */
export type TakeHeartbeat = (name: string, text: string, address: string | undefined) => string[];

export function createTakeHeartbeat({
  registry,
  metrics,
}: {
  readonly registry: NodeRegistry;
  readonly metrics: ServerMetrics;
}): TakeHeartbeat {
  const timeout = String(registry.heartbeatTimeoutMs);
  return (name, text, address) => {
    const headers: string[] = [];
    const challenge = registry.recordHeartbeat(name, text, decodeHeartbeat, address);
    if (challenge !== undefined) {
      headers.push('cara-challenge', challenge);
    } else if (registry.grant(name)) {
      headers.push(GRANT_HEADER, timeout);
    }
    const holdMs = registry.holders.holdMs(name);
    if (holdMs !== undefined) {
      headers.push(HOLD_HEADER, String(Math.ceil(holdMs)));
    }
    const dispute = registry.holders.findDispute(name);
    if (typeof dispute === 'object') {
      headers.push(RIVAL_HEADER, encodeURIComponent(dispute.message.toWellFormed())); // a host name is any text
    }
    metrics.heartbeats.inc();
    return headers;
  };
}

/** Registers the route with a body parser of its own, which leaves the text as it is. */
export function registerHeartbeat(app: FastifyInstance, take: TakeHeartbeat): void {
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, parsed) => parsed(null, body));
    scope.post<{ Params: { readonly name: string }; Body: string | undefined }>(
      toFastifyPath(PATH),
      {
        config: { access: HEARTBEAT_ACCESS },
        onRequest: (request, _reply, next) => {
          if (request.headers['content-type'] !== 'application/json' || request.headers['content-encoding'] !== undefined) {
            checkBodyForm(JSON_TYPES, request);
          }
          next();
        },
      },
      (request, reply) => {
        const headers = take(request.params.name, request.body ?? '', addressOf(request));
        for (let index = 0; index < headers.length; index += 2) {
          reply.header(headers[index] ?? '', headers[index + 1]);
        }
        reply.code(204).send();
      },
    );
    done();
  });
}

function decodeHeartbeat(text: string): Heartbeat {
  return decodeOrThrow(heartbeatDecoder, parseJsonBody(text) ?? {}, 'heartbeat');
}
