/** The routes that every kind has: create, list, watch, read, replace, patch, apply. What is special to a kind is in nodes.ts and projects.ts. */
import type { FastifyReply } from 'fastify';
import Type, { type Static, type TSchema } from 'typebox';
import type { AccessResource } from '../../../api/access.ts';
import { API_VERSION, Closed } from '../../../api/meta.ts';
import { parseSelector, selects } from '../../../api/selector.ts';
import { explainingConflict } from '../../objects/explain-conflict.ts';
import { createAdmit, type Admit } from '../../auth/admission.ts';
import { userOf, type Caller } from '../../auth/caller.ts';
import type { NodeAccess } from '../../auth/rules.ts';
import { checkName as checkNameInScope, checkScope, scopeFilter } from '../../auth/scope.ts';
import { notFound } from '../../objects/not-found.ts';
import { checkName } from '../../objects/write-object.ts';
import type { Store, StoredObject } from '../../../store/store.ts';
import type { Topic } from '../../../store/topic.ts';
import { defineRoute, type Route, type RouteInput } from '../route.ts';
import { sendCollection } from '../send-collection.ts';
import type { WatchDeps } from '../watch-response.ts';

export const MERGE_PATCH = 'application/merge-patch+json';
const APPLY_PATCH = 'application/apply-patch+json';

/** Query of a list or a watch, for any kind. */
export const LIST_QUERY = {
  labelSelector: Type.Optional(
    Type.String({ maxLength: 4096, description: 'Such as zone=ed312,tier!=dev,arch in (arm64,amd64),gpu,!spot' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'At most so many; the rest comes with continue' })),
  continue: Type.Optional(Type.String({ maxLength: 1024, description: 'metadata.continue of the page before' })),
  watch: Type.Optional(Type.Boolean({ description: 'Answer with a stream of changes, a JSON line each' })),
  resourceVersion: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,15}$',
      expects: 'a resourceVersion, as lists and bookmarks give it',
      description: 'With watch: changes after this version; without it the stream begins with ADDED for each object there is',
    }),
  ),
};
const ListQuery = Closed(LIST_QUERY);
type ListQuery = Static<typeof ListQuery>;

interface Manifest {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly status?: unknown;
}

export interface ResourceService<Item, Create extends Manifest, Apply extends Manifest> {
  create(manifest: Create, admit?: Admit): Promise<Item>;
  replace(name: string, manifest: Create, admit?: Admit, by?: string): Promise<Item>;
  apply(
    manifest: Apply,
    admit?: Admit,
    by?: string,
  ): Promise<{ readonly object: Item; readonly isCreated: boolean; readonly isChanged: boolean }>;
  patch(name: string, mergePatch: unknown, admit?: Admit, by?: string): Promise<Item>;
}

export interface ResourceKind<Item extends StoredObject, Create extends Manifest, Apply extends Manifest, Query extends ListQuery> {
  readonly kind: Item['kind'];
  /** last part of the path, such as "nodes" */
  readonly plural: AccessResource;
  /** what nodes may read of it; not there: nothing */
  readonly nodes?: NodeAccess;
  readonly service: ResourceService<Item, Create, Apply>;
  readonly decodeManifest: (input: unknown) => Create;
  readonly decodeApply: (input: unknown) => Apply;
  readonly schemas: { readonly item: TSchema; readonly manifest: TSchema; readonly apply: TSchema; readonly query: TSchema };
  /** beside labelSelector */
  readonly createFilter: (query: Query) => (item: Item) => boolean;
  /** what narrows the query down without looking at each item; undefined: nothing does */
  readonly topicOf?: (query: Query) => Topic | undefined;
  /** whether the caller may ask for this at all */
  readonly checkQuery?: (query: Query, caller: Caller) => void;
  /** the item as users see it */
  readonly present: (item: Item) => StoredObject;
  /** the fields that users write, for telling what has changed between two states; default: as users see it */
  readonly compared?: (item: Item) => object;
  /** what a person who lists should know beside it: one sentence without a double quote; undefined: nothing */
  readonly noteOfList?: (caller: Caller) => Promise<string | undefined>;
  /** takes the place of the plain read of one */
  readonly readRoute?: Route;
}

export interface ResourceRoutesDeps extends WatchDeps {
  readonly store: Store;
}

export function resourceRoutes<Item extends StoredObject, Create extends Manifest, Apply extends Manifest, Query extends ListQuery>(
  deps: ResourceRoutesDeps,
  resource: ResourceKind<Item, Create, Apply, Query>,
): readonly Route[] {
  const { kind, plural, service, schemas, present } = resource;
  const conflicts = { store: deps.store, kind, compared: resource.compared ?? present };
  const readAccess = { verb: 'read', resource: plural, ...(resource.nodes && { nodes: resource.nodes }) } as const;
  const collection = `/api/v1/${plural}`;
  const one = `${collection}/{name}`;
  const noun = kind.toLowerCase();
  const tag = plural;
  const itemAnswer = (description: string): { description: string; schema: TSchema } => ({ description, schema: schemas.item });
  const patchSchema = Type.Object({}, { description: 'RFC 7396: what is there changes, null removes' });
  return [
    defineRoute({
      method: 'POST',
      path: collection,
      summary: `Create a ${noun}`,
      tag,
      access: { verb: 'create', resource: plural },
      bodies: { 'application/json': schemas.manifest },
      answers: { 201: itemAnswer('Created'), 409: { description: 'There is one of that name' } },
      handle: async ({ body, caller, reply }) => {
        const manifest = resource.decodeManifest(body);
        checkNameInScope(caller, 'create', { kind, name: manifest.metadata.name });
        warnOfStatus(manifest, reply);
        const item = await service.create(manifest, createAdmit(caller, deps.store));
        return reply.code(201).header('location', `${collection}/${item.metadata.name}`).send(present(item));
      },
    }),
    defineRoute({
      method: 'GET',
      path: collection,
      summary: `List ${plural}, or watch them`,
      tag,
      access: readAccess,
      query: schemas.query,
      answers: {
        200: { description: 'The list, or with watch a stream of events', schema: listSchema(kind, schemas.item) },
        410: { description: 'The resourceVersion is too old: list again' },
      },
      handle: (input) => listOrWatch(deps, resource, input as RouteInput<Query>),
    }),
    resource.readRoute ??
      defineRoute({
        method: 'GET',
        path: one,
        summary: `Read a ${noun}`,
        tag,
        access: readAccess,
        answers: { 200: itemAnswer('It'), 404: { description: 'There is none of that name' } },
        handle: async ({ params, caller }) => present(await getObject<Item>(deps.store, { kind, name: nameOf(params), caller })),
      }),
    defineRoute({
      method: 'PUT',
      path: one,
      summary: `Replace spec, labels and annotations of a ${noun}`,
      tag,
      access: { verb: 'update', resource: plural },
      bodies: { 'application/json': schemas.manifest },
      answers: {
        200: itemAnswer('Replaced'),
        404: { description: 'There is none of that name' },
        409: { description: 'It has changed since' },
      },
      handle: async ({ params, body, caller, reply }) => {
        checkNameInScope(caller, 'change', { kind, name: nameOf(params) });
        const manifest = resource.decodeManifest(body);
        checkName(nameOf(params), manifest.metadata.name);
        warnOfStatus(manifest, reply);
        const { name, resourceVersion: named } = manifest.metadata;
        const admit = createAdmit(caller, deps.store);
        return present(await explainingConflict(conflicts, { name, named }, () => service.replace(name, manifest, admit, userOf(caller))));
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: `Change a ${noun} (merge patch), or create or change it (apply patch)`,
      tag,
      access: { verb: 'update', resource: plural },
      bodies: { [MERGE_PATCH]: patchSchema, [APPLY_PATCH]: schemas.apply },
      answers: {
        200: itemAnswer('Changed, or as it was; for an apply Cara-Result says configured or unchanged'),
        201: itemAnswer('Created by an apply'),
        404: { description: 'There is none of that name to patch' },
        409: { description: 'It has changed since' },
      },
      handle: async ({ params, body, mediaType, caller, reply }) => {
        const name = nameOf(params);
        checkNameInScope(caller, 'change', { kind, name });
        const admit = createAdmit(caller, deps.store);
        if (mediaType === MERGE_PATCH) {
          warnOfStatus(body, reply);
          const named = (body as { readonly metadata?: { readonly resourceVersion?: unknown } | null } | null)?.metadata?.resourceVersion;
          return present(await explainingConflict(conflicts, { name, named }, () => service.patch(name, body, admit, userOf(caller))));
        }
        const manifest = resource.decodeApply(body);
        checkName(name, manifest.metadata.name);
        warnOfStatus(manifest, reply);
        const named = manifest.metadata.resourceVersion;
        const applied = await explainingConflict(conflicts, { name, named }, () => service.apply(manifest, admit, userOf(caller)));
        const { object, isCreated, isChanged } = applied;
        reply.code(isCreated ? 201 : 200).header('cara-result', isCreated ? 'created' : isChanged ? 'configured' : 'unchanged');
        return present(object);
      },
    }),
  ];
}

async function listOrWatch<Item extends StoredObject, Create extends Manifest, Apply extends Manifest, Query extends ListQuery>(
  deps: ResourceRoutesDeps,
  { kind, createFilter, topicOf, checkQuery, present, noteOfList }: ResourceKind<Item, Create, Apply, Query>,
  input: RouteInput<Query>,
): Promise<unknown> {
  const { query, caller } = input;
  checkQuery?.(query, caller);
  const requirements = parseSelector(query.labelSelector ?? '');
  const isOfKind = createFilter(query);
  const isTheirs = scopeFilter(caller);
  const isSelected = (item: Item): boolean => selects(requirements, item.metadata.labels) && isOfKind(item) && isTheirs(item);
  const note = query.watch === true || query.continue !== undefined ? undefined : await noteOfList?.(caller);
  if (note !== undefined) {
    input.reply.header('warning', `299 - "${note}"`);
  }
  return await sendCollection(deps, { kind, isSelected, topic: topicOf?.(query), present }, input);
}

/** @throws {ApiError} NotFound; Forbidden, NotAssigned where it is not for `caller` to see */
export async function getObject<Item extends StoredObject>(
  store: Store,
  { kind, name, caller }: { readonly kind: Item['kind']; readonly name: string; readonly caller: Caller },
): Promise<Item> {
  checkNameInScope(caller, 'read', { kind, name });
  const object = await store.get<Item>(kind, name);
  if (object === undefined) {
    throw notFound(kind.toLowerCase(), name);
  }
  checkScope(caller, 'read', object);
  return object;
}

/** The `{name}` of the path. */
export function nameOf(params: Readonly<Record<string, string>>): string {
  return params['name'] ?? '';
}

/** Says that `status` in a manifest was not taken. Source: RFC 7234 section 5.5 (code 299) */
function warnOfStatus(manifest: unknown, reply: FastifyReply): void {
  if (typeof manifest === 'object' && manifest !== null && 'status' in manifest) {
    reply.header('warning', '299 - "status in the manifest is ignored: it is written by the system alone"');
  }
}

function listSchema(kind: string, item: TSchema): TSchema {
  return Closed({
    apiVersion: Type.Literal(API_VERSION),
    kind: Type.Literal(`${kind}List`),
    metadata: Closed({ resourceVersion: Type.String(), continue: Type.Optional(Type.String()) }),
    items: Type.Array(item),
  });
}
