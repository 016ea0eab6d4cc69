/** Routes of the ways to a node: the tunnel that its agent opens, and what `caractrl describe node` shows of them. */
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { AGENT_CREDENTIAL_HEADER } from '../../../api/headers.ts';
import { LINK_PATHS } from '../../../api/node/link-report.ts';
import { Closed, OneOf } from '../../../api/meta.ts';
import { withDeadline, type Clock } from '../../../base/clock.ts';
import { TUNNEL_PATH } from '../../../base/tunnel-settings.ts';
import type { Credentials } from '../../auth/credentials.ts';
import type { NodeRegistry } from '../../nodes/node-registry.ts';
import { notFound } from '../../objects/not-found.ts';
import type { AgentCredentials } from '../../tunnel/agent-credentials.ts';
import type { NodeLinks } from '../../tunnel/node-links.ts';
import type { TunnelRegistry } from '../../tunnel/tunnel-registry.ts';
import { defineRoute, type Route } from '../route.ts';
import { takeUpgrade } from '../upgrades.ts';
import { nameOf } from './resource-routes.ts';

export interface TunnelRoutesDeps {
  readonly registry: NodeRegistry;
  readonly credentials: AgentCredentials;
  readonly tunnels: TunnelRegistry;
  readonly links: NodeLinks;
  /** tells when the node may no longer */
  readonly bearers: Pick<Credentials, 'holdNode'>;
  readonly clock: Clock;
  /** aborts when the server stops */
  readonly stopSignal: AbortSignal;
}

const MEASURE_MS = 8000;

const LinkSchema = Closed({
  path: OneOf(LINK_PATHS, 'direct: the address of the node is dialled; tunnel: the connection that its agent keeps open'),
  roundTripMs: Type.Optional(Type.Number({ description: 'ms, measured just now' })),
  address: Type.Optional(Type.String({ description: 'Which the direct path takes, or would' })),
  detail: Type.Optional(Type.String({ description: 'Why there is no direct path, or none at all' })),
});

export function tunnelRoutes({ registry, credentials, tunnels, links, bearers, clock, stopSignal }: TunnelRoutesDeps): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `/api/v1/nodes/{name}/${TUNNEL_PATH}`,
      summary: 'An agent opens its tunnel: a WebSocket with HTTP/2 in it, the agent being the server',
      tag: 'agents',
      access: { verb: 'report', resource: 'nodes', nodes: 'self' },
      answers: {
        101: { description: 'Open' },
        401: { description: 'That is not the credential of the last registration: register again' },
        404: { description: 'There is none of that name' },
        426: { description: 'Only as a WebSocket' },
      },
      handle: async ({ params, caller, request, reply }) => {
        const name = nameOf(params);
        const node = registry.find(name);
        if (node === undefined) {
          throw notFound('node', name, 'open a tunnel for');
        }
        const given = [request.headers[AGENT_CREDENTIAL_HEADER] ?? []].flat()[0];
        if (!(await credentials.matches(node, given))) {
          throw new ApiError('Unauthorized', `Cannot open a tunnel for node ${JSON.stringify(name)} as another agent has registered since`);
        }
        if (stopSignal.aborted) {
          throw new ApiError('Unavailable', 'Cannot open a tunnel as the server is stopping');
        }
        const { socket, head } = takeUpgrade(request, reply);
        tunnels.add(name, { socket, head });
        const release = bearers.holdNode(caller, () => tunnels.close(name));
        socket.once('close', release);
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/nodes/{name}/link',
      summary: 'How the server reaches the agent of a node now, and how far away that is',
      tag: 'nodes',
      access: { verb: 'read', resource: 'nodes' },
      answers: { 200: { description: 'The path taken', schema: LinkSchema }, 404: { description: 'There is none of that name' } },
      handle: async ({ params }) => {
        using deadline = withDeadline(clock, MEASURE_MS, stopSignal);
        return await links.measure(nameOf(params), deadline.signal);
      },
    }),
  ];
}
