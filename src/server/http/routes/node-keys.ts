/** Routes by which agents get their credentials, and admins decide who joins. */
import Type from 'typebox';
import { createDecoder, decodeOrThrow } from '../../../api/decode.ts';
import { ApiError } from '../../../api/errors.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { NewNodeCredentialSchema, NodeChallengeSchema, NodeKeySchema, ProofOfKey } from '../../../api/token.ts';
import type { Cluster } from '../../cluster/cluster-record.ts';
import type { LoginLimit } from '../../auth/login-limit.ts';
import { isFailedLogin, type NodeKeys } from '../../auth/node-keys.ts';
import { addressOf } from '../remote-address.ts';
import { defineRoute, type Route } from '../route.ts';
import { nameOf } from './resource-routes.ts';

export interface NodeKeyRoutesDeps {
  readonly nodeKeys: NodeKeys;
  readonly loginLimit: LoginLimit;
  readonly cluster: Pick<Cluster, 'id'>;
}

const proofDecoder = createDecoder(ProofOfKey);
const NodeKeyList = Closed({ apiVersion: Type.Literal(API_VERSION), kind: Type.Literal('NodeKeyList'), items: Type.Array(NodeKeySchema) });

export function nodeKeyRoutes({ nodeKeys, loginLimit, cluster }: NodeKeyRoutesDeps): readonly Route[] {
  const notFound = { description: 'No machine has joined under that name' };
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/challenge',
      summary: "What a node's agent has to sign for its next credential",
      tag: 'agents',
      access: 'anyone',
      answers: { 200: { description: 'The challenge', schema: NodeChallengeSchema } },
      handle: async ({ params }) => ({ clusterId: cluster.id, challenge: await nodeKeys.challenge(nameOf(params)) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/credential',
      summary: "A node's agent gets a credential of its own, for an hour, by proving that it has the key that it joined with",
      tag: 'agents',
      access: 'anyone', // it asks for the proof itself
      bodies: { 'application/json': ProofOfKey },
      answers: {
        200: { description: 'The credential', schema: NewNodeCredentialSchema },
        401: { description: 'It has not joined, or not with this key: it needs a join token' },
        403: { description: 'It waits for a person to approve it' },
        410: { description: 'The node was deleted: it needs a join token' },
      },
      handle: async ({ params, body, request }) => {
        const proof = decodeOrThrow(proofDecoder, body, 'proof');
        try {
          return await nodeKeys.issue(nameOf(params), proof);
        } catch (error) {
          const retryAfterMs = isFailedLogin(error) ? loginLimit.note(addressOf(request), nameOf(params)) : undefined;
          throw retryAfterMs === undefined
            ? error
            : new ApiError(
                'TooManyRequests',
                `Cannot check the proof as there were too many that failed: try again in ${retryAfterMs / 1000} s`,
                {
                  retryAfterMs,
                },
              );
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/node-keys',
      summary: 'List the machines that have joined, and those that wait to be approved',
      tag: 'auth',
      access: { verb: 'read', resource: 'tokens' },
      answers: { 200: { description: 'They', schema: NodeKeyList } },
      handle: async () => ({ apiVersion: API_VERSION, kind: 'NodeKeyList', items: await nodeKeys.list() }),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/node-keys/{name}',
      summary:
        'Reject a machine: it is let in no more before it has another join token; its Node stays, and another machine can join under the name',
      tag: 'auth',
      access: { verb: 'delete', resource: 'tokens' },
      answers: { 200: { description: 'Rejected', schema: NodeKeySchema }, 404: notFound },
      handle: ({ params }) => nodeKeys.reject(nameOf(params)),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/nodes/{name}/approve',
      summary: 'Let in a machine that has joined, where the server was started with --approve (NODE_APPROVAL=required)',
      tag: 'auth',
      access: { verb: 'update', resource: 'tokens' },
      answers: { 200: { description: 'Approved', schema: NodeKeySchema }, 404: notFound },
      handle: ({ params }) => nodeKeys.approve(nameOf(params)),
    }),
  ];
}
