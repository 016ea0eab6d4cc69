/** Objects of one kind as functions: what is there, what it becomes, and what happens to it. */
import type { ProjectPhase } from '../api/project.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import { findOne, readAllPages, readWarnings, watchCollection, type Listed } from './collection.ts';
import type { ApiAnswer, ApiRequest, Transport } from './transport.ts';

const API = '/api/v1';

export interface ListQuery {
  readonly labelSelector?: string;
  /** projects alone */
  readonly phase?: readonly ProjectPhase[];
  /** projects alone: bound to this node */
  readonly nodeRef?: string;
}

export const APPLY_RESULTS = ['created', 'configured', 'unchanged'] as const;
export type ApplyResult = (typeof APPLY_RESULTS)[number];

export interface Applied<Item> {
  readonly object: Item;
  readonly result: ApplyResult;
  /** what the server wants said, such as "status is ignored" */
  readonly warnings: readonly string[];
}

export interface ResourceClient<Item> {
  /** @throws {ApiError} NotFound */
  get(name: string, signal: AbortSignal): Promise<Item>;
  find(name: string, signal: AbortSignal): Promise<Item | undefined>;
  /** All pages as one list. */
  list(query: ListQuery, signal: AbortSignal): Promise<Listed<Item>>;
  /** Create or change, as `caractrl apply` does. */
  apply(name: string, manifest: unknown, signal: AbortSignal): Promise<Applied<Item>>;
  patch(name: string, mergePatch: unknown, signal: AbortSignal): Promise<Item>;
  /** `object`: while it is still going (202), or its last state (200); none once it is gone. */
  delete(
    name: string,
    options: { readonly force?: boolean },
    signal: AbortSignal,
  ): Promise<{ readonly isGone: boolean; readonly object?: Item; readonly warnings: readonly string[] }>;
  /** Events after `since` (a resourceVersion), or, without it, ADDED for each object that is there first. Ends when the server ends it. @throws {ApiError} Expired */
  watch(query: ListQuery & { readonly since?: string }, signal: AbortSignal): AsyncIterable<WatchEvent<Item>>;
}

export function createResourceClient<Item>(transport: Transport, plural: 'nodes' | 'projects' | 'secrets'): ResourceClient<Item> {
  const pathOf = (name: string): string => `${API}/${plural}/${encodeURIComponent(name)}`;
  const send = (request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> => transport.request(request, signal);
  return {
    get: async (name, signal) => (await send({ method: 'GET', path: pathOf(name) }, signal)).body as Item,
    find: (name, signal) => findOne<Item>(transport, pathOf(name), signal),
    list: (query, signal) => readAllPages<Item>(transport, { path: `${API}/${plural}`, parameters: toParameters(query) }, signal),
    apply: async (name, manifest, signal) => {
      const answer = await send(
        { method: 'PATCH', path: pathOf(name), body: manifest, contentType: 'application/apply-patch+json' },
        signal,
      );
      const result =
        APPLY_RESULTS.find((known) => known === answer.headers.get('cara-result')) ?? (answer.status === 201 ? 'created' : 'configured');
      return { object: answer.body as Item, result, warnings: readWarnings(answer.headers) };
    },
    patch: async (name, mergePatch, signal) =>
      (await send({ method: 'PATCH', path: pathOf(name), body: mergePatch, contentType: 'application/merge-patch+json' }, signal))
        .body as Item,
    delete: async (name, { force }, signal) => {
      const answer = await send({ method: 'DELETE', path: `${pathOf(name)}${force === true ? '?force=true' : ''}` }, signal);
      const object = answer.body === undefined ? {} : { object: answer.body as Item };
      return { isGone: answer.status !== 202, ...object, warnings: readWarnings(answer.headers) };
    },
    watch: (query, signal) =>
      watchCollection<Item>(transport, { path: `${API}/${plural}`, parameters: toParameters(query), since: query.since }, signal),
  };
}

function toParameters(query: ListQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  if (query.labelSelector !== undefined) {
    parameters.set('labelSelector', query.labelSelector);
  }
  if (query.nodeRef !== undefined) {
    parameters.set('nodeRef', query.nodeRef);
  }
  for (const phase of query.phase ?? []) {
    parameters.append('phase', phase);
  }
  return parameters;
}
