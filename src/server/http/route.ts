/**
 * Routes as data: from one table come Fastify's routes, the answer to a wrong method or media type, and the OpenAPI document.
 *
 * Callers  routes/*.ts define them; app.ts registers them; openapi.ts describes them.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static, type TSchema } from 'typebox';
import { createDecoder, decodeOrThrow, type Decoder } from '../../api/decode.ts';
import { ApiError } from '../../api/errors.ts';
import type { Caller } from '../auth/caller.ts';
import type { Access } from '../auth/rules.ts';

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

export interface RouteInput<Query> {
  /** path parameters, decoded: name -> value */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** parsed JSON, not yet decoded; undefined when there was none */
  readonly body: unknown;
  /** of the body, such as "application/merge-patch+json"; "" when there was none */
  readonly mediaType: string;
  /** whom the route's rule let in; which objects are theirs is for the handler to check (auth/scope.ts) */
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface Answer {
  readonly description: string;
  readonly schema?: TSchema;
  /** default application/json */
  readonly mediaType?: string;
}

export interface RouteOf<Query> {
  readonly method: Method;
  /** as in OpenAPI: `/api/v1/nodes/{name}` */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  /** who may call it; checked before a body is read */
  readonly access: Access;
  readonly query?: TSchema;
  /** media type -> schema of the body, for the documentation; other media types get 415 */
  readonly bodies?: Readonly<Record<string, TSchema>>;
  /** status -> what it means */
  readonly answers: Readonly<Record<number, Answer>>;
  /** What it returns is the answer's body; undefined leaves the answer to `reply`. */
  readonly handle: (input: RouteInput<Query>) => unknown;
}

export type Route = RouteOf<never> & { readonly run: (request: FastifyRequest, reply: FastifyReply) => unknown };

const NO_QUERY = Type.Object({}, { additionalProperties: false });

/** Makes a route whose query is decoded by its schema before `handle` sees it. */
export function defineRoute<Schema extends TSchema = typeof NO_QUERY>(
  route: Omit<RouteOf<Static<Schema>>, 'query'> & { readonly query?: Schema },
): Route {
  const schema = route.query ?? NO_QUERY;
  const decoder = createDecoder(schema) as Decoder<Static<Schema>>;
  const run = (request: FastifyRequest, reply: FastifyReply): unknown =>
    route.handle({
      params: request.params as Readonly<Record<string, string>>,
      query: decodeOrThrow(decoder, coerceQuery(schema, request.query as QueryStrings), 'the query'),
      body: request.body,
      mediaType: mediaTypeOf(request),
      caller: request.caller,
      request,
      reply,
    });
  return { ...route, run } as Route;
}

type QueryStrings = Readonly<Record<string, string | readonly string[]>>;

/** Makes numbers, booleans and lists of query strings where the schema wants these; what does not fit is left for the schema to refuse. */
function coerceQuery(schema: TSchema, query: QueryStrings): Readonly<Record<string, unknown>> {
  const properties = (schema as { readonly properties?: Readonly<Record<string, { readonly type?: string }>> }).properties ?? {};
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, Object.hasOwn(properties, name) ? coerce(properties[name]?.type, value) : value]),
  );
}

function coerce(type: string | undefined, value: string | readonly string[]): unknown {
  if (type === 'array') {
    return Array.isArray(value) ? value : [value];
  }
  if (type === 'integer' && typeof value === 'string' && /^[0-9]{1,15}$/u.test(value)) {
    return Number(value);
  }
  if (type === 'boolean' && (value === 'true' || value === 'false' || value === '')) {
    return value !== 'false'; // `?watch` alone means yes
  }
  return value;
}

/** The body's media type without parameters, in lower case; "" when there is none. */
function mediaTypeOf(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * @param accepted media types of the body; none: the route looks at no body
 * @throws {ApiError} UnsupportedMediaType, UnsupportedEncoding for a body in a form that the route does not take
 */
export function checkBodyForm(accepted: readonly string[], request: FastifyRequest): void {
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (!hasBody) {
    return;
  }
  const mediaType = mediaTypeOf(request);
  const isCharsetLegal = !/charset=(?!"?utf-8)/iu.test(headers['content-type'] ?? '');
  if (accepted.length > 0 && !(accepted.includes(mediaType) && isCharsetLegal)) {
    const current = headers['content-type'] === undefined ? 'there is none' : `current value is ${JSON.stringify(headers['content-type'])}`;
    throw new ApiError(
      'UnsupportedMediaType',
      `Cannot read the body as Content-Type must be ${accepted.join(' or ')}, in UTF-8: ${current}`,
    );
  }
  // a list, in any case. Source: RFC 9110 section 8.4
  if (!/^[\s,]*(?:identity[\s,]*)*$/iu.test(headers['content-encoding'] ?? '')) {
    throw new ApiError(
      'UnsupportedEncoding',
      `Cannot read the body as Content-Encoding must be identity: current value is ${JSON.stringify(headers['content-encoding'])}`,
    );
  }
}

/** `/a/{name}` as Fastify writes it: `/a/:name`. */
export function toFastifyPath(path: string): string {
  return path.replaceAll(/\{([A-Za-z]+)\}/gu, ':$1');
}

/** The methods that some route has for the path of `url`; none: there is no such path. */
export function listAllowedMethods(routes: readonly Route[], url: string): readonly string[] {
  const path = url.split('?', 1)[0] ?? '';
  const found = routes.filter((route) => new RegExp(`^${route.path.replaceAll(/\{[A-Za-z]+\}/gu, '[^/]+')}$`, 'u').test(path));
  const methods = new Set<string>(found.map(({ method }) => method));
  return methods.has('GET') ? [...methods, 'HEAD'] : [...methods];
}
