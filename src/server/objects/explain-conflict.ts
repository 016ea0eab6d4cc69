/**
 * Explains a conflict: what has changed since the version that a write named, as long as the log reaches back to it.
 *
 * Never    shows a value: a field may hold what not everyone should read in a log. Never holds up the store: it reads what is in memory.
 * Callers  http/routes/resource-routes.ts
 */
import { isDeepStrictEqual } from 'node:util';
import { ApiError, hasReason, type FieldError } from '../../api/errors.ts';
import type { Change, Store, StoredObject } from '../../store/store.ts';

/** Fields named; more are counted. */
const MAX_FIELDS = 20;
/** Changes of the kind looked through, so that a conflict stays cheap. */
const MAX_LOOKED_AT = 10_000;
/** Where each part of an object ends up: what is a list or a map of these is told as a whole below this depth. */
const MAX_DEPTH = 6;

export interface ConflictDeps<Item extends StoredObject> {
  readonly store: Store;
  readonly kind: Item['kind'];
  /** the object with the fields that users know */
  readonly compared: (item: Item) => object;
}

/**
 * Runs a write that may name a resourceVersion, and tells of a Conflict what has changed since that version.
 * @param named the resourceVersion that the write names; undefined: none, and nothing is added
 */
export async function explainingConflict<Item extends StoredObject, Result>(
  deps: ConflictDeps<Item>,
  { name, named }: { readonly name: string; readonly named: unknown },
  write: () => Promise<Result>,
): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    if (hasReason(error, 'Conflict') && typeof named === 'string') {
      throw await explain(deps, name, { named, error });
    }
    throw error;
  }
}

async function explain<Item extends StoredObject>(
  { store, kind, compared }: ConflictDeps<Item>,
  name: string,
  { named, error }: { readonly named: string; readonly error: ApiError },
): Promise<ApiError> {
  const current = await store.get<Item>(kind, name);
  const next = await findNextChange<Item>(store, { kind, name, since: Number(named) });
  const before = next?.previous;
  if (current === undefined || before?.metadata.resourceVersion !== named) {
    return error; // what it was is not known any more, or it never was at that version
  }
  if (before.metadata.uid !== current.metadata.uid) {
    return retold(error, 'it was deleted since, and made anew', [{ pointer: '/metadata/uid', detail: 'is another object now' }]);
  }
  const pointers = listDifferences(compared(before), compared(current));
  const fields = pointers
    .slice(0, MAX_FIELDS)
    .map((pointer): FieldError => ({ pointer, detail: `has changed since, ${writerOf(pointer)}` }));
  const more = pointers.length - fields.length;
  const told = pointers.slice(0, 3).map(toFieldName).join(', ');
  const rest = pointers.length > 3 ? ` and ${pointers.length - 3} more` : '';
  const errors = more > 0 ? [...fields, { pointer: '', detail: `and ${more} more fields have changed` }] : fields;
  return retold(error, pointers.length === 0 ? 'it is again as it was' : `${told}${rest} changed since`, errors);
}

function retold(error: ApiError, what: string, fields: readonly FieldError[]): ApiError {
  return new ApiError('Conflict', `${error.message}: ${what}`, { errors: [...error.errors, ...fields], cause: error });
}

/** The first change of the object after a version; undefined when there is none, or the log no longer has it. */
async function findNextChange<Item extends StoredObject>(
  store: Store,
  { kind, name, since }: { readonly kind: string; readonly name: string; readonly since: number },
): Promise<Change<Item> | undefined> {
  const ended = new AbortController();
  let lookedAt = 0;
  try {
    for await (const batch of store.watchBatches<Item>(kind, since, ended.signal)) {
      for (const item of batch) {
        lookedAt += 1;
        if (item.type === 'BOOKMARK' || lookedAt > MAX_LOOKED_AT) {
          return undefined;
        }
        if (item.object.metadata.name === name) {
          return item;
        }
      }
    }
    return undefined;
  } catch (error) {
    if (hasReason(error, 'Expired')) {
      return undefined;
    }
    throw error;
  } finally {
    ended.abort();
  }
}

/** What moves with every write says nothing. */
const ALWAYS_NEW = new Set(['/metadata/resourceVersion', '/metadata/updatedAt', '/metadata/generation']);

/** JSON pointers of all that differs, in the order of the fields. */
export function listDifferences(before: unknown, after: unknown, pointer = '', depth = 0): readonly string[] {
  if (ALWAYS_NEW.has(pointer) || isDeepStrictEqual(before, after)) {
    return [];
  }
  if (depth >= MAX_DEPTH || !isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after)) {
    return [pointer];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    listDifferences(before[key], after[key], `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, depth + 1),
  );
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function writerOf(pointer: string): string {
  return pointer.startsWith('/status') ? 'by the system' : 'by whoever else writes it';
}

/** `/spec/services/0/image` as people write it: spec.services[0].image. */
function toFieldName(pointer: string): string {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return parts.map((part, index) => (/^\d+$/u.test(part) ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`)).join('');
}
