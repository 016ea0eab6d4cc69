/** Reading what the API's collections hold. Callers: the clients of each kind. */
import { hasReason } from '../api/errors.ts';
import type { ObjectList } from '../api/meta.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import { toFailure } from './network-failure.ts';
import type { ApiAnswer, Transport } from './transport.ts';
import { readWatchStream } from './watch-stream.ts';

const PAGE_SIZE = 500;

export interface CollectionQuery {
  /** such as /api/v1/nodes */
  readonly path: string;
  /** which of its objects; not changed */
  readonly parameters: URLSearchParams;
}

export interface Listed<Item> extends ObjectList<Item> {
  /** what the server wants said, such as "one machine waits to be let in" */
  readonly warnings?: readonly string[];
}

/**
 * Reads all pages as one list. Its version is that of the first page: a watch that follows must start where that was read, so that what
 * changed while we paged comes again, and nothing is missed.
 */
export async function readAllPages<Item>(
  transport: Transport,
  { path, parameters: asked }: CollectionQuery,
  signal: AbortSignal,
): Promise<Listed<Item>> {
  const items: Item[] = [];
  let first: Listed<Item> | undefined;
  let next: string | undefined;
  do {
    const parameters = new URLSearchParams(asked);
    parameters.set('limit', String(PAGE_SIZE));
    if (next !== undefined) {
      parameters.set('continue', next);
    }
    const { body, headers } = await transport.request({ method: 'GET', path: `${path}?${parameters.toString()}` }, signal);
    const page = body as ObjectList<Item>;
    first ??= { ...page, warnings: readWarnings(headers) };
    items.push(...page.items);
    next = page.metadata.continue;
  } while (next !== undefined);
  return { ...first, metadata: { resourceVersion: first.metadata.resourceVersion }, items };
}

/** `Warning: 299 - "text"` headers, their texts. Source: RFC 7234 section 5.5 */
export function readWarnings(headers: ApiAnswer['headers']): readonly string[] {
  return [...(headers.get('warning') ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/gu)].map(([, text]) =>
    (text ?? '').replaceAll(/\\(.)/gu, '$1'),
  );
}

/** @param path of one object @returns undefined where there is none */
export async function findOne<Item>(transport: Transport, path: string, signal: AbortSignal): Promise<Item | undefined> {
  try {
    return (await transport.request({ method: 'GET', path }, signal)).body as Item;
  } catch (error) {
    if (hasReason(error, 'NotFound')) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Changes after `since` (a resourceVersion), or, without it, ADDED for each object that is there first. Ends when the server ends it.
 * @throws {ApiError} Expired and the like; Unavailable when the connection is cut
 */
export function watchCollection<Item>(
  transport: Transport,
  { path, parameters: asked, since }: CollectionQuery & { readonly since: string | undefined },
  signal: AbortSignal,
): AsyncIterable<WatchEvent<Item>> {
  const parameters = new URLSearchParams(asked);
  parameters.set('watch', 'true');
  if (since !== undefined) {
    parameters.set('resourceVersion', since);
  }
  return readChanges<Item>(transport, `${path}?${parameters.toString()}`, signal);
}

async function* readChanges<Item>(transport: Transport, path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<Item>> {
  const stream = await transport.stream({ method: 'GET', path }, signal);
  try {
    yield* readWatchStream<Item>(stream);
  } catch (error) {
    throw toFailure(error, { serverUrl: transport.serverUrl, timeoutMs: 0, signal }); // a connection that is cut fails in the reading
  }
}
