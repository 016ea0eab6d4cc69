/** Routes of who one is and what one may do, and of tokens. */
import Type from 'typebox';
import { decodeOrThrow, createDecoder } from '../../../api/decode.ts';
import { isGranted, whatGrants } from '../../../api/access.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { CanIAnswer, CanIQuery, NewToken, TokenRequest, TokenSchema, WhoAmI } from '../../../api/token.ts';
import { describeCaller, describeLimit, toWhoAmI, type Caller } from '../../auth/caller.ts';
import type { TokenService } from '../../auth/token-service.ts';
import { defineRoute, type Route } from '../route.ts';
import { nameOf } from './resource-routes.ts';
import type { Static } from 'typebox';

export interface AuthRoutesDeps {
  readonly tokens: TokenService;
}

const requestDecoder = createDecoder(TokenRequest);
const TokenListSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('TokenList'),
  items: Type.Array(TokenSchema),
});

export function authRoutes({ tokens }: AuthRoutesDeps): readonly Route[] {
  const tag = 'auth';
  const notFound = { description: 'There is none of that id' };
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/auth/whoami',
      summary: 'Who the credentials say that you are',
      tag,
      access: 'known',
      answers: { 200: { description: 'You', schema: WhoAmI } },
      handle: ({ caller }) => toWhoAmI(caller),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/auth/can-i',
      summary: 'Whether you may do something',
      tag,
      access: 'known',
      query: CanIQuery,
      answers: { 200: { description: 'Whether, and why', schema: CanIAnswer } },
      handle: ({ caller, query }) => answerCanI(caller, query),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/tokens',
      summary: 'Make a token; it is in this answer alone, as only a hash of it is kept',
      tag,
      access: { verb: 'create', resource: 'tokens' },
      bodies: { 'application/json': TokenRequest },
      answers: { 201: { description: 'Made', schema: NewToken } },
      handle: async ({ body, request, reply }) => {
        const made = await tokens.create(decodeOrThrow(requestDecoder, body, 'token'));
        request.audit = { object: `Token/${made.object.metadata.name}` };
        return reply.code(201).send(made);
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/tokens',
      summary: 'List tokens, without their secrets',
      tag,
      access: { verb: 'read', resource: 'tokens' },
      answers: { 200: { description: 'They', schema: TokenListSchema } },
      handle: async () => ({ apiVersion: API_VERSION, kind: 'TokenList', items: await tokens.list() }),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/tokens/{name}',
      summary: 'Revoke a token, at once',
      tag,
      access: { verb: 'delete', resource: 'tokens' },
      answers: { 200: { description: 'Revoked', schema: TokenSchema }, 404: notFound },
      handle: ({ params }) => tokens.revoke(nameOf(params)),
    }),
  ];
}

function answerCanI(caller: Caller, { verb, resource, name }: Static<typeof CanIQuery>): CanIAnswer {
  const you = describeCaller(caller);
  if (caller.kind === 'Everyone') {
    return { allowed: true, why: 'this server asks for no credentials' };
  }
  if (caller.kind !== 'Person') {
    return { allowed: false, why: `this is for people: you are ${you}` };
  }
  const { limit } = caller;
  if (!isGranted({ ...caller, isLimited: limit !== undefined }, verb, resource)) {
    return { allowed: false, why: `that needs ${whatGrants(verb, resource)}: you are ${you}` };
  }
  const isBound =
    limit !== undefined && (resource === 'projects' || resource === 'secrets' || resource === 'events' || resource === 'logs');
  if (isBound && name !== undefined && !name.startsWith(limit.namePrefix)) {
    return { allowed: false, why: `your token is limited to ${describeLimit(limit)}: you are ${you}` };
  }
  return { allowed: true, why: isBound ? `within ${describeLimit(limit)}: you are ${you}` : `you are ${you}` };
}
