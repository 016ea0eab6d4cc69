/** Routes of Secrets: those of every kind, which never show values, and the two that do: one for people, one for nodes. */
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { ApiError } from '../../../api/errors.ts';
import { decodeSecretApply, decodeSecretManifest } from '../../../api/manifest.ts';
import { Closed } from '../../../api/meta.ts';
import { SecretApply, SecretManifest, SecretSchema } from '../../../api/secret.ts';
import { createAdmit } from '../../auth/admission.ts';
import { describeCaller, type Caller } from '../../auth/caller.ts';
import { judge } from '../../auth/rules.ts';
import { checkName } from '../../auth/scope.ts';
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
    access: { verb: 'read', resource: 'secrets' },
    query: ReadQuery,
    answers: { 200: { description: 'It', schema: SecretSchema }, 404: notFound },
    handle: async ({ params, query, caller, request, reply }) => {
      const name = nameOf(params);
      if (query.reveal === true) {
        request.audit = { verb: 'reveal' };
        checkReveal(caller, name);
      }
      const stored = await getObject<StoredSecret>(deps.store, { kind: SECRET_KIND, name, caller });
      if (query.reveal !== true) {
        return presentSecret(stored);
      }
      const secret = await secrets.reveal(name);
      log.info(
        { component: 'http', secret: name, requestId: request.id, remoteAddress: request.ip, caller: describeCaller(caller) },
        'secret revealed',
      );
      if (caller.kind === 'Everyone') {
        warn(reply, 'the values are shown as this server asks nobody for credentials: everyone who reaches it can read them');
      }
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
      access: { verb: 'delete', resource: 'secrets' },
      answers: { 200: { description: 'Deleted; its last state, without values', schema: SecretSchema }, 404: notFound },
      handle: async ({ params, caller, reply }) => {
        const name = nameOf(params);
        checkName(caller, 'delete', { kind: SECRET_KIND, name });
        const deleted = presentSecret(await secrets.delete(name, createAdmit(caller, deps.store)));
        warnOfUsers(secretUsers.usersOf(name), reply);
        return deleted;
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/nodes/{name}/secrets/{secret}',
      summary: 'Read a secret with its values, for a node that runs a project which uses it',
      tag: 'agents',
      access: { verb: 'reveal', resource: 'secrets', nodes: 'self' },
      answers: {
        200: { description: 'It, with data', schema: SecretSchema },
        403: { description: 'No project on the node uses it' },
        404: notFound,
      },
      handle: async ({ params, caller }) => {
        const secret = params['secret'] ?? '';
        checkUse(secretUsers, secret, nameOf(params));
        if (caller.kind !== 'Node') {
          await getObject<StoredSecret>(deps.store, { kind: SECRET_KIND, name: secret, caller });
        }
        return secrets.reveal(secret);
      },
    }),
  ];
}

/** Before anything tells whether there is such a Secret. @throws {ApiError} Forbidden */
function checkReveal(caller: Caller, name: string): void {
  const refusal = judge(caller, { verb: 'reveal', resource: 'secrets' });
  if (refusal !== undefined) {
    throw new ApiError(refusal.reason, `Cannot show the values of secret ${JSON.stringify(name)} as ${refusal.why}`);
  }
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
