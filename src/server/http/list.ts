/**
 * Lists: filtered, sorted by name, page by page.
 *
 * A continue token is the last name given and the version of the first page: names do not move, so a page neither repeats nor skips an
 * object that was there all the while; and a watch from the first page's version tells what changed meanwhile.
 */
import { ApiError } from '../../api/errors.ts';
import { API_VERSION, type ObjectList } from '../../api/meta.ts';
import type { Listing, Store, StoredObject } from '../../store/store.ts';
import type { Topic } from '../../store/topic.ts';

/** Objects read at a time while a filter looks for enough that match. */
const READ_SIZE = 500;

export interface ListRequest<Item extends StoredObject> {
  readonly kind: Item['kind'];
  readonly isSelected: (item: Item) => boolean;
  /** all that is selected is of this topic: then nothing else is looked at */
  readonly topic?: Topic | undefined;
  /** the item as users see it */
  readonly present: (item: Item) => StoredObject;
  readonly limit?: number;
  readonly continue?: string;
}

/** What was found, not yet as users see it. */
export interface FoundList<Item extends StoredObject> extends Omit<ObjectList<StoredObject>, 'items'> {
  readonly items: readonly Item[];
  readonly present: (item: Item) => StoredObject;
}

/** @throws {ApiError} Invalid for a continue token that is none of ours */
export async function listObjects<Item extends StoredObject>(store: Store, request: ListRequest<Item>): Promise<FoundList<Item>> {
  const { kind, isSelected, limit = Infinity } = request;
  const start = request.continue === undefined ? undefined : decodeToken(request.continue);
  let found: readonly Item[] = [];
  let version = start?.version;
  let after = start?.after;
  for (;;) {
    const listing: Listing<Item> = await store.list<Item>(kind, {
      topic: request.topic,
      ...(after !== undefined && { after }),
      ...(limit !== Infinity && { limit: READ_SIZE }),
    });
    version ??= listing.version;
    found = [...found, ...listing.items.filter(isSelected)];
    if (limit === Infinity || listing.items.length < READ_SIZE || found.length > limit) {
      break;
    }
    after = listing.items.at(-1)?.metadata.name;
  }
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const next = found.length > items.length && last !== undefined ? encodeToken({ after: last.metadata.name, version }) : undefined;
  const metadata = { resourceVersion: String(version), ...(next !== undefined && { continue: next }) };
  return { apiVersion: API_VERSION, kind: `${kind}List`, metadata, items, present: request.present };
}

interface Token {
  readonly after: string;
  readonly version: number;
}

function encodeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function decodeToken(text: string): Token {
  const token = parseToken(text);
  if (token === undefined) {
    throw new ApiError('Invalid', 'Cannot continue the list as the token is none that this server gave: start again without continue', {
      errors: [{ pointer: '/continue', detail: 'must be the metadata.continue of the page before' }],
    });
  }
  return token;
}

function parseToken(text: string): Token | undefined {
  try {
    const { after, version } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Partial<Token>;
    return typeof after === 'string' && Number.isSafeInteger(version) ? { after, version: version ?? 0 } : undefined;
  } catch {
    return undefined; // whatever it is, it is not one of ours
  }
}
