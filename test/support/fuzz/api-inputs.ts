/** Requests made from the OpenAPI document: most of them nearly right, so that they get past the first check. */
import type { Dice } from './dice.ts';
import { makeValue, nastyText, spoilText, type JsonSchema, type Making } from './values.ts';

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: readonly { readonly name: string; readonly schema: JsonSchema }[];
  readonly bodies: readonly (readonly [mediaType: string, schema: JsonSchema])[];
  /** status -> schema of the body; undefined: none is described */
  readonly answers: ReadonlyMap<number, JsonSchema | undefined>;
}

export interface ApiInput {
  readonly operation: Operation;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

interface RawOperation {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>> }>>;
}

/** Every operation, with what it refers to put in its place. */
export function readOperations(document: unknown): readonly Operation[] {
  const { paths, components } = document as Document;
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.map(resolve);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const { $ref = '' } = value as { readonly $ref?: string };
    const name = /^#\/components\/schemas\/(.+)$/u.exec($ref)?.[1];
    return name === undefined
      ? Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, resolve(entry)]))
      : resolve(components.schemas[name]);
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => ({
      method: method.toUpperCase(),
      path,
      query: raw.parameters.filter((parameter) => parameter.in === 'query'),
      bodies: Object.entries(raw.requestBody?.content ?? {}).map(([type, { schema }]) => [type, resolve(schema) as JsonSchema] as const),
      answers: new Map(
        Object.entries(raw.responses)
          .filter(([status]) => status !== 'default')
          .map(([status, { content }]) => [
            Number(status),
            content?.['application/json'] && (resolve(content['application/json'].schema) as JsonSchema),
          ]),
      ),
    })),
  );
}

/** Names that are there, as `seedObjects` makes them. */
export const KNOWN_NAMES = ['n1', 'n2', 'shop', 'db', 'secret-1'];

/** Parts of a path that nobody should call an object. */
const NASTY_PARTS = [
  '..',
  '.',
  '%2e%2e',
  '%2F',
  '%00',
  '%',
  '%zz',
  '%E0%A4%A',
  '__proto__',
  'constructor',
  'a'.repeat(300),
  'A',
  'n1%2F..',
  ' ',
  '%20',
  'n1;x',
  '*',
  '~',
  '💥',
];

/** Parameters by which an answer becomes a stream that does not end by itself. */
const STREAMING = new Set(['watch', 'follow']);

export function makeInput(operations: readonly Operation[], making: Making): ApiInput {
  const { dice } = making;
  const operation = dice.pick(operations);
  const path = operation.path.replaceAll(/\{[A-Za-z]+\}/gu, () => encodePart(dice));
  const query = makeQuery(operation, making);
  const method = dice.chance(0.02) ? dice.pick(['PUT', 'PATCH', 'DELETE', 'POST', 'GET', 'HEAD', 'OPTIONS']) : operation.method;
  const { body, type } = makeBody(operation, making);
  return {
    operation,
    method,
    url: `${path}${dice.chance(0.01) ? dice.pick(['/', '//', '/..', '?', '#x', ';a']) : ''}${query}`,
    headers: { ...(type !== undefined && { 'content-type': type }), ...oddHeaders(dice) },
    body,
  };
}

function encodePart(dice: Dice): string {
  return dice.chance(0.8)
    ? dice.pick(KNOWN_NAMES)
    : dice.chance(0.5)
      ? dice.pick(NASTY_PARTS)
      : encodeURIComponent(toWellFormed(nastyText(dice)));
}

function toWellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\ufffd');
}

function makeQuery({ query }: Operation, making: Making): string {
  const { dice } = making;
  const parameters = query
    .filter(({ name }) => !STREAMING.has(name) && dice.chance(0.3))
    .map(({ name, schema }) => `${name}=${encodeURIComponent(toWellFormed(textOf(makeValue(schema, making, name))))}`);
  if (dice.chance(0.03)) {
    parameters.push(
      dice.pick(['watch=banana', 'follow=2', '__proto__=1', 'limit=1&limit=2', 'constructor[prototype]=1', '%', '=', '&&&', 'a=%zz']),
    );
  }
  return parameters.length === 0 ? '' : `?${parameters.join('&')}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function makeBody({ bodies }: Operation, making: Making): { readonly body: string | undefined; readonly type: string | undefined } {
  const { dice } = making;
  if (bodies.length === 0) {
    return dice.chance(0.05) ? { body: '{"a":1}', type: 'application/json' } : { body: undefined, type: undefined };
  }
  const [type, schema] = dice.pick(bodies);
  const text = textOfBody(makeValue(schema, making));
  const body = dice.chance(0.06) ? spoilText(text, dice) : text;
  return {
    body,
    type: dice.chance(0.02)
      ? dice.pick(['text/plain', 'application/json; charset=utf-16', '', 'multipart/form-data', 'application/xml'])
      : type,
  };
}

function textOfBody(value: unknown): string {
  return JSON.stringify(value) ?? '';
}

function oddHeaders(dice: Dice): Readonly<Record<string, string>> {
  return dice.chance(0.03)
    ? dice.pick([
        { authorization: `Bearer ${'x'.repeat(3000)}` },
        { 'x-request-id': '../\u00e9' },
        { 'content-encoding': 'gzip' },
        { accept: 'text/html' },
        { 'content-length': '5' },
        { 'cara-agent-credential': 'x' },
        { origin: 'https://evil.example' },
        { host: 'evil.example' },
        { 'sec-fetch-site': 'cross-site' },
        { cookie: 'a=b' },
        { 'cara-forward-key': 'x', 'cara-forwarded-for': '1.2.3.4' },
      ])
    : {};
}
