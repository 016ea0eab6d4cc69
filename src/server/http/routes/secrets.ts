/** Routes of Secrets: those of every kind, which never show values, and the two that do: one for people, one for nodes. */
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { decodeSecretApply, decodeSecretManifest } from '../../../api/manifest.ts';
import { Closed } from '../../../api/meta.ts';
import { SecretApply, SecretManifest, SecretSchema } from '../../../api/secret.ts';
import type { SecretService } from '../../secrets/secret-service.ts';
import type { SecretUsers } from '../../secrets/secret-users.ts';
import { compareSecret, presentSecret, SECRET_KIND, type StoredSecret } from '../../secrets/stored-secret.ts';
import { defineRoute, type Route } from '../route.ts';
import { getObject, LIST_QUERY, nameOf, resourceRoutes, type ResourceRoutesDeps } from './resource-routes.ts';

export interface SecretRoutesDeps extends ResourceRoutesDeps {
  readonly secrets: SecretService;
  readonly secretUsers: SecretUsers;
}

/** Projects named in a warning; the rest is counted. */
const MAX_NAMED = 10;

const ReadQuery = Closed({
  reveal: Type.Optional(Type.Boolean({ description: 'With the values, as data; only for who may see them' })),
});

export function secretRoutes(deps: SecretRoutesDeps): readonly Route[] {
  const { secrets, secretUsers, log } = deps;
  const one = '/api/v1/secrets/{name}';
  const tag = 'secrets';
  const notFound = { description: 'There is none of that name' };
  const readRoute = defineRoute({
    method: 'GET',
    path: one,
    summary: 'Read a secret: keys, sizes and fingerprints; its values only where they are asked for',
    tag,
    query: ReadQuery,
    answers: { 200: { description: 'It', schema: SecretSchema }, 404: notFound },
    handle: async ({ params, query, request, reply }) => {
      const name = nameOf(params);
      if (query.reveal !== true) {
        return presentSecret(await getObject<StoredSecret>(deps.store, SECRET_KIND, name));
      }
      const secret = await secrets.reveal(name);
      log.info({ component: 'http', secret: name, requestId: request.id, remoteAddress: request.ip }, 'secret revealed');
      // as long as nobody is asked for credentials; with roles this is the right of an admin
      warn(reply, 'the values are shown as this server asks nobody for credentials: everyone who reaches it can read them');
      return secret;
    },
  });
  return [
    ...resourceRoutes(deps, {
      kind: SECRET_KIND,
      plural: 'secrets',
      service: secrets,
      decodeManifest: decodeSecretManifest,
      decodeApply: decodeSecretApply,
      schemas: { item: SecretSchema, manifest: SecretManifest, apply: SecretApply, query: Closed(LIST_QUERY) },
      createFilter: () => () => true,
      present: presentSecret,
      compared: compareSecret,
      readRoute,
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Delete a secret; what runs with its values runs on, and a Warning names the projects that use it',
      tag,
      answers: { 200: { description: 'Deleted; its last state, without values', schema: SecretSchema }, 404: notFound },
      handle: async ({ params, reply }) => {
        const name = nameOf(params);
        const deleted = presentSecret(await secrets.delete(name));
        warnOfUsers(secretUsers.usersOf(name), reply);
        return deleted;
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/nodes/{name}/secrets/{secret}',
      summary: 'Read a secret with its values, for a node that runs a project which uses it',
      tag: 'agents',
      answers: {
        200: { description: 'It, with data', schema: SecretSchema },
        403: { description: 'No project on the node uses it' },
        404: notFound,
      },
      handle: async ({ params }) => {
        const secret = params['secret'] ?? '';
        checkUse(secretUsers, secret, nameOf(params));
        return secrets.reveal(secret);
      },
    }),
  ];
}

/** Before anything tells whether there is such a Secret. @throws {ApiError} Forbidden */
function checkUse(users: SecretUsers, secret: string, node: string): void {
  if (!users.isUsedOn(secret, node)) {
    throw new ApiError(
      'Forbidden',
      `Cannot give secret ${JSON.stringify(secret)} to node ${JSON.stringify(node)} as no project that is bound to that node uses it`,
    );
  }
}

function warnOfUsers(projects: readonly string[], reply: FastifyReply): void {
  if (projects.length > 0) {
    const more = projects.length > MAX_NAMED ? ` and ${projects.length - MAX_NAMED} more` : '';
    const names = `${projects.slice(0, MAX_NAMED).join(', ')}${more}`;
    warn(reply, `still used by ${names}: what runs there runs on, new containers wait until there is a secret of that name again`);
  }
}

/** Source: RFC 7234 section 5.5 (code 299) */
function warn(reply: FastifyReply, words: string): void {
  reply.header('warning', `299 - "${words}"`);
}
