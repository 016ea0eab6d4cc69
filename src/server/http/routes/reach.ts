/**
 * Reaching into a service: a command in its container, a TCP connection to one of its ports. Both are WebSockets whose bytes are handed on to
 * the agent of the node, and back, as they are.
 *
 * Never    reads faster than the other side takes, nor knows what the bytes mean (api/exec-frames.ts is between agent and caractrl).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Duplex } from 'node:stream';
import Type from 'typebox';
import { Closed } from '../../../api/meta.ts';
import type { Clock } from '../../../base/clock.ts';
import { join } from '../../../base/join.ts';
import { keepAlive } from '../../../base/keep-alive.ts';
import { WebSocketStream } from '../../../base/web-socket.ts';
import { GoingAway } from '../../../base/web-socket/end.ts';
import type { Store } from '../../../store/store.ts';
import type { AuditLog } from '../../audit/audit-log.ts';
import type { Caller } from '../../auth/caller.ts';
import type { Credentials } from '../../auth/credentials.ts';
import type { NodeLinks } from '../../tunnel/node-links.ts';
import { auditRequest } from '../audit-requests.ts';
import { defineRoute, type Answer, type Route } from '../route.ts';
import { findPlace, type ServicePlace } from '../service-place.ts';
import { checkUpgrade, takeUpgrade } from '../upgrades.ts';

export interface ReachRoutesDeps {
  readonly store: Store;
  readonly links: NodeLinks;
  readonly bearers: Pick<Credentials, 'hold'>;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly clock: Clock;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

const PortQuery = Closed({
  port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'TCP port in the container' }),
});

const ExecQuery = Closed({
  command: Type.Array(Type.String({ maxLength: 8192 }), { minItems: 1, maxItems: 1000, description: 'The program, then its arguments' }),
  stdin: Type.Optional(Type.Boolean({ description: 'It gets input; else that is at its end' })),
  tty: Type.Optional(Type.Boolean({ description: 'It gets a terminal; its output is one stream then' })),
  columns: Type.Optional(Type.Integer({ minimum: 1, maximum: 9999, description: 'Width of the terminal' })),
  rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 9999, description: 'Its height' })),
  user: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: "Name or number, and group after a colon; default the container's" }),
  ),
  workingDir: Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description: "Absolute; default the container's" })),
  env: Type.Optional(
    Type.Array(Type.String({ maxLength: 8192, pattern: '^[^=]+=' }), { maxItems: 1000, description: 'More variables, NAME=value' }),
  ),
});

const ANSWERS: Readonly<Record<number, Answer>> = {
  101: { description: 'Open' },
  404: { description: 'There is no such Project, or no such service in it' },
  426: { description: 'Only as a WebSocket' },
  429: { description: 'Too many streams are open to the node' },
  503: { description: 'There is no way to its node; the answer says since when' },
};

export function reachRoutes(deps: ReachRoutesDeps): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/projects/{project}/services/{service}/exec',
      summary: 'Run a command in a service, as a WebSocket: binary messages are a stream of frames, see docs/exec.md',
      tag: 'projects',
      access: { verb: 'exec', resource: 'projects' },
      query: ExecQuery,
      answers: { ...ANSWERS, 409: { description: 'Its container does not run' } },
      handle: async ({ params, query, caller, request, reply }) => {
        const place = await findPlace(deps.store, { ...serviceOf(params), action: 'run a command in', caller });
        checkUpgrade(request, reply);
        const parameters = new URLSearchParams();
        for (const [name, value] of Object.entries(query)) {
          [value].flat().forEach((one) => parameters.append(name, String(one)));
        }
        const path = `/api/v1/exec/${partsOf(place)}?${parameters.toString()}`;
        const onOpen = (): void =>
          auditRequest(deps.audit, request, { status: 101, result: `in ${place.service}: ${query.command.map(quote).join(' ')}` });
        await relay(deps, { place, caller, path, onOpen }, { request, reply });
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/projects/{project}/services/{service}/portforward',
      summary:
        'A TCP connection to a port of a service, as a WebSocket: binary messages are its bytes, an empty one ends a direction, as FIN does',
      tag: 'projects',
      access: { verb: 'update', resource: 'projects' },
      query: PortQuery,
      answers: { ...ANSWERS, 409: { description: 'Its container does not run, or nothing listens on that port in it' } },
      handle: async ({ params, query, caller, request, reply }) => {
        const action = `connect to port ${query.port} of`;
        const place = await findPlace(deps.store, { ...serviceOf(params), action, caller });
        checkUpgrade(request, reply);
        request.audit = { verb: 'read' }; // who may is in the rule; that somebody did, once a connection, is nothing to write down
        await relay(deps, { place, caller, path: `/api/v1/forward/${partsOf(place)}/${query.port}` }, { request, reply });
      },
    }),
  ];
}

function serviceOf({ project = '', service = '' }: Readonly<Record<string, string>>): {
  readonly project: string;
  readonly service: string;
} {
  return { project, service };
}

/** As a shell would have to be told it. */
function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function partsOf({ project, service }: ServicePlace): string {
  return `${encodeURIComponent(project.metadata.name)}/${encodeURIComponent(service)}`;
}

interface Relayed {
  readonly place: ServicePlace;
  readonly caller: Caller;
  /** and query, of the agent's API */
  readonly path: string;
  readonly onOpen?: () => void;
}

/** Opens the agent's stream, then the caller's, and joins them; lasts as long as they do. @throws {ApiError} before the caller's is open */
async function relay(
  { links, bearers, clock, stopSignal }: ReachRoutesDeps,
  { place, caller, path, onOpen }: Relayed,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<void> {
  const gone = new AbortController();
  request.raw.socket.once('close', () => gone.abort());
  const release = bearers.hold(caller, () => gone.abort(new GoingAway('the token that opened it has ended')));
  const signal = AbortSignal.any([gone.signal, stopSignal]);
  try {
    const remote = await links.open(place.node, path, signal);
    remote.on('error', () => undefined); // cut: whoever joins it learns
    if (request.raw.socket.destroyed) {
      remote.destroy();
      return;
    }
    onOpen?.();
    const hearing = { heardAtMs: clock.monotonicMs() };
    const onHeard = (): void => void (hearing.heardAtMs = clock.monotonicMs());
    const stream = new WebSocketStream({ ...takeUpgrade(request, reply), role: 'server', onHeard });
    stream.on('error', () => undefined);
    await Promise.all([
      keepAlive(stream, hearing, clock, signal),
      carry(stream, remote, { node: place.node, gone: gone.signal, stopSignal }),
    ]);
  } finally {
    release();
  }
}

interface Ends {
  readonly node: string;
  readonly gone: AbortSignal;
  readonly stopSignal: AbortSignal;
}

/** Joins the two to their ends; the caller is told why where that comes before its time. Never rejects. */
async function carry(stream: WebSocketStream, remote: Duplex, { node, gone, stopSignal }: Ends): Promise<void> {
  const explain = (): Error | undefined => {
    if (stopSignal.aborted) {
      return new GoingAway('the server is stopping');
    }
    if (gone.aborted) {
      return gone.reason instanceof GoingAway ? gone.reason : undefined;
    }
    return new GoingAway(`it was cut at node ${node}, or on the way there`);
  };
  try {
    await join({ left: stream, right: remote, explain }, AbortSignal.any([gone, stopSignal]));
  } catch {
    // both are cut, and whoever reads them learns by that
  }
}
