/** Routes of Nodes: those of every kind, deletion and registration. Heartbeats are in heartbeats.ts. */
import { Closed } from '../../../api/meta.ts';
import { decodeOrThrow, invalid } from '../../../api/decode.ts';
import { ApiError } from '../../../api/errors.ts';
import { AGENT_CREDENTIAL_HEADER } from '../../../api/headers.ts';
import { decodeNodeApply, decodeNodeManifest } from '../../../api/manifest.ts';
import { DNS_SUBDOMAIN, matches } from '../../../api/names.ts';
import { NodeApply, NodeManifest, NodeSchema, Registration } from '../../../api/node.ts';
import { createReportDecoder } from '../../../api/report.ts';
import type { Caller } from '../../auth/caller.ts';
import type { NodeKeys } from '../../auth/node-keys.ts';
import { judge } from '../../auth/rules.ts';
import type { NodeRegistry } from '../../nodes/node-registry.ts';
import type { NodeService } from '../../nodes/node-service.ts';
import type { AgentCredentials } from '../../tunnel/agent-credentials.ts';
import { addressOf } from '../remote-address.ts';
import { defineRoute, type Route } from '../route.ts';
import { LIST_QUERY, nameOf, resourceRoutes, type ResourceRoutesDeps } from './resource-routes.ts';

export interface NodeRoutesDeps extends ResourceRoutesDeps {
  readonly nodes: NodeService;
  readonly registry: NodeRegistry;
  readonly nodeKeys: NodeKeys;
  readonly credentials: Pick<AgentCredentials, 'issue'>;
}

/** As `POST /nodes/{name}/approve` asks it. */
const MAY_APPROVE = { verb: 'update', resource: 'tokens' } as const;
const MAX_NAMED = 5; // in one line

const registrationDecoder = createReportDecoder(Registration);

export function nodeRoutes(deps: NodeRoutesDeps): readonly Route[] {
  const { nodes, registry, nodeKeys, credentials } = deps;
  const tag = 'nodes';
  return [
    ...resourceRoutes(deps, {
      kind: 'Node',
      plural: 'nodes',
      nodes: 'own',
      service: nodes,
      decodeManifest: decodeNodeManifest,
      decodeApply: decodeNodeApply,
      schemas: { item: NodeSchema, manifest: NodeManifest, apply: NodeApply, query: Closed(LIST_QUERY) },
      createFilter: () => () => true,
      present: (node) => registry.view.withPresence(node),
      noteOfList: async (caller) => (judge(caller, MAY_APPROVE) === undefined ? describeWaiting(await nodeKeys.listWaiting()) : undefined),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/nodes/{name}',
      summary: 'Delete a node; its containers are left alone, and its agent is told 410 until it registers at its next start',
      tag,
      access: { verb: 'delete', resource: 'nodes' },
      answers: { 200: { description: 'Deleted; its last state', schema: NodeSchema }, 404: { description: 'There is none of that name' } },
      handle: async ({ params }) => nodes.delete(nameOf(params)),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/register',
      summary: "An agent's start: creates or claims the node; labels, annotations and spec stay as they are",
      tag: 'agents',
      access: { verb: 'report', resource: 'nodes', nodes: 'self', joining: true },
      bodies: { 'application/json': Registration },
      answers: {
        200: { description: 'Registered', schema: NodeSchema },
        409: { description: 'Another machine, which is alive, holds the name' },
        410: { description: 'The node was deleted, and this is no start of its agent: do not register before the next one' },
      },
      handle: async ({ params, body, caller, request, reply }) => {
        const name = nameOf(params);
        if (!matches(DNS_SUBDOMAIN, name)) {
          // no field error: the name stands in the path, in no document
          throw new ApiError(
            'Invalid',
            `Cannot register as the name in the path must be ${DNS_SUBDOMAIN.expects}: current value is ${JSON.stringify(name)}`,
          );
        }
        const registration = decodeOrThrow(registrationDecoder, body ?? {}, 'registration');
        const address = addressOf(request);
        if (caller.kind === 'Joining') {
          await nodes.checkIsStart(name, registration); // before its key is taken down
          await join(deps, name, { caller, registration, address });
        }
        const node = await nodes.register(name, registration, address);
        if (caller.kind !== 'Everyone') {
          await nodeKeys.bind(name, node.metadata.uid);
        }
        if ((registry.holders.holdMs(name) ?? 0) === 0) {
          reply.header(AGENT_CREDENTIAL_HEADER, await credentials.issue(node));
        } // else it may be a copy: until that is known, the way to the node is the way to the machine of before
        return registry.view.withPresence(node);
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/reset-identity',
      summary: 'Let the next machine that registers have the name, as after reinstalling it, though another identity holds it',
      tag,
      access: { verb: 'update', resource: 'nodes' },
      answers: { 200: { description: 'Reset', schema: NodeSchema }, 404: { description: 'There is none of that name' } },
      handle: async ({ params }) => {
        const node = await nodes.resetIdentity(nameOf(params));
        await nodeKeys.release(nameOf(params));
        return registry.view.withPresence(node);
      },
    }),
  ];
}

/** @returns undefined when there is none */
function describeWaiting(names: readonly string[]): string | undefined {
  if (names.length === 0) {
    return undefined;
  }
  if (names.length > MAX_NAMED) {
    return `${names.length} machines wait to be let in: caractrl node joined lists them, caractrl node approve NAME... lets them in`;
  }
  const wait = names.length === 1 ? 'one machine waits' : `${names.length} machines wait`;
  return `${wait} to be let in: caractrl node approve ${names.join(' ')}`;
}

interface Joining {
  readonly caller: Extract<Caller, { kind: 'Joining' }>;
  readonly registration: Registration;
  readonly address: string | undefined;
}

/** Takes down the machine's key before it is registered; not while another live machine has the name. @throws {ApiError} */
async function join(
  { registry, nodeKeys }: NodeRoutesDeps,
  name: string,
  { caller, registration: { publicKey, identity, hostname }, address }: Joining,
): Promise<void> {
  if (publicKey === undefined) {
    throw invalid('registration', [
      { pointer: '/publicKey', detail: 'is required with a join token: is this agent older than its server?' },
    ]);
  }
  if (identity !== undefined) {
    registry.holders.check(name, { ...identity, hostname, address });
  }
  await nodeKeys.join(name, { tokenId: caller.shown.id, publicKey, hostname, address });
  await nodeKeys.assertApproved(name);
}
