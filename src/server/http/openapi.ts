/** The OpenAPI document, made from the route table. Pure. Source: OpenAPI 3.1.1 */
import Type, { type TSchema } from 'typebox';
import { REASONS, type Reason } from '../../api/errors.ts';
import { Closed, OneOf } from '../../api/meta.ts';
import { Heartbeat, NodeApply, NodeManifest, NodeSchema, Registration } from '../../api/node.ts';
import { ProjectApply, ProjectManifest, ProjectSchema, ProjectSpec, StatusReport } from '../../api/project.ts';
import { SecretApply, SecretManifest, SecretSchema } from '../../api/secret.ts';
import { VERSION } from '../../base/version.ts';
import { PROBLEM_TYPE } from './problem-reply.ts';
import type { Answer, Route } from './route.ts';

const ProblemSchema = Closed(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'A sentence for a person: what was tried, why it failed, current value' }),
    reason: OneOf(Object.keys(REASONS) as Reason[]),
    errors: Type.Optional(
      Type.Array(Closed({ pointer: Type.String({ description: 'RFC 6901 JSON pointer into the document sent' }), detail: Type.String() })),
    ),
  },
  'RFC 9457',
);

/** Schemas that have a name in the document: written once, referred to from wherever they stand. */
const NAMED: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [NodeSchema, 'Node'],
  [NodeManifest, 'NodeManifest'],
  [NodeApply, 'NodeApply'],
  [Heartbeat, 'Heartbeat'],
  [Registration, 'Registration'],
  [ProjectSchema, 'Project'],
  [ProjectManifest, 'ProjectManifest'],
  [ProjectApply, 'ProjectApply'],
  [ProjectSpec, 'ProjectSpec'],
  [StatusReport, 'StatusReport'],
  [SecretSchema, 'Secret'],
  [SecretManifest, 'SecretManifest'],
  [SecretApply, 'SecretApply'],
  [ProblemSchema, 'Problem'],
]);

/** Of these, fields that the server does not know are ignored; see api/report.ts. */
const REPORTS: ReadonlySet<unknown> = new Set([Heartbeat, Registration, StatusReport]);

/** Describes `routes`. */
export function describeApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = describeRoute(route);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Caravanserai',
      version: VERSION,
      description:
        'Every failure is application/problem+json. Unknown fields are refused, each with a JSON pointer; in what agents report they are ignored.',
    },
    paths,
    components: {
      schemas: Object.fromEntries(
        [...NAMED].map(([schema, name]) => {
          const described = toJsonSchema(schema as TSchema, NAMED);
          return [name, REPORTS.has(schema) ? opened(described) : described];
        }),
      ),
      responses: {
        Problem: { description: 'What went wrong', content: describeContent({ [PROBLEM_TYPE]: ProblemSchema }) },
        TooManyRequests: describeLater('Too many requests by one token, too many failed logins, or too many lists at once'),
        Unavailable: describeLater('The server cannot answer now'),
      },
    },
  };
}

function describeRoute({ path, summary, tag, query, bodies, answers }: Route): object {
  const parameters = [...path.matchAll(/\{([A-Za-z]+)\}/gu)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  return {
    summary,
    tags: [tag],
    parameters: [...parameters, ...describeQuery(query)],
    ...(bodies && { requestBody: { required: true, content: describeContent(bodies) } }),
    responses: {
      429: { $ref: '#/components/responses/TooManyRequests' },
      503: { $ref: '#/components/responses/Unavailable' },
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)])),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

/** What is to be tried again. */
function describeLater(description: string): object {
  const schema = { type: 'integer', description: 'Seconds to wait' };
  return { description, headers: { 'Retry-After': { schema } }, content: describeContent({ [PROBLEM_TYPE]: ProblemSchema }) };
}

function describeQuery(query: TSchema | undefined): readonly object[] {
  const properties = (query as { readonly properties?: Readonly<Record<string, TSchema>> } | undefined)?.properties ?? {};
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = toJsonSchema(schema);
    return { name, in: 'query', required: false, ...(description !== undefined && { description }), schema: rest };
  });
}

function describeAnswer({ description, schema, mediaType = 'application/json' }: Answer): object {
  return { description, ...(schema && { content: describeContent({ [mediaType]: schema }) }) };
}

function describeContent(schemas: Readonly<Record<string, TSchema>>): object {
  return Object.fromEntries(
    Object.entries(schemas).map(([mediaType, schema]) => {
      const name = NAMED.get(schema);
      return [mediaType, { schema: name === undefined ? toJsonSchema(schema, NAMED) : referTo(name) }];
    }),
  );
}

type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The schema as plain JSON Schema: our own words for what is expected become the description where there is none.
 * @param named schema -> name; these become references wherever they stand inside of `schema`
 */
export function toJsonSchema(schema: TSchema, named: ReadonlyMap<unknown, string> = new Map()): JsonSchema {
  const text = JSON.stringify(schema, (_key, value: unknown) => {
    const name = value === schema ? undefined : named.get(value);
    return name === undefined ? value : referTo(name);
  });
  return plain(JSON.parse(text)) as JsonSchema;
}

/** Without the bounds that keep other fields out. */
function opened(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(opened);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const { additionalProperties, ...rest } = value as Record<string, unknown>;
  const kept = additionalProperties === undefined || additionalProperties === false ? rest : { ...rest, additionalProperties };
  return Object.fromEntries(Object.entries(kept).map(([key, entry]) => [key, opened(entry)]));
}

function referTo(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const { expects, keyExpects: _keyExpects, ...rest } = value as Record<string, unknown>;
  const result = Object.fromEntries(Object.entries(rest).map(([key, entry]) => [key, plain(entry)]));
  return typeof expects === 'string' && !('description' in result) ? { ...result, description: expects } : result;
}
