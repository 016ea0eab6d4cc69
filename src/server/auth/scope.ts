/**
 * Scope: which objects a caller may see and change, once its role allows the act; pure.
 *
 * Nodes see themselves and the Projects that are bound to them. A token's limit is about Projects, Secrets and what is said of them;
 * Nodes it may see all, as that is where its Projects run.
 */
import { ApiError } from '../../api/errors.ts';
import type { Labels } from '../../api/meta.ts';
import type { StoredObject } from '../../store/store.ts';
import { selects } from '../../api/selector.ts';
import { describeCaller, describeLimit, type Caller, type Limit } from './caller.ts';

/** What of an object is looked at. */
export interface Seen {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Labels };
  readonly status?: object;
}

/** Labels of an object as it is now; undefined: there is none. */
export type LabelsOf = (kind: string, name: string) => Labels | undefined;

export function isInScope(caller: Caller, object: Seen): boolean {
  switch (caller.kind) {
    case 'Everyone':
      return true;
    case 'Node':
      return object.kind === 'Node' ? object.metadata.name === caller.node : object.kind === 'Project' && nodeRefOf(object) === caller.node;
    case 'Person':
      return caller.limit === undefined || object.kind === 'Node' || isWithin(caller.limit, object.metadata);
    case 'Joining':
    case 'Nobody':
      return false;
    default:
      return caller satisfies never;
  }
}

export function isWithin({ requirements, namePrefix }: Limit, { name, labels }: Seen['metadata']): boolean {
  return name.startsWith(namePrefix) && selects(requirements, labels);
}

/** The same of lists: everything where all would pass. */
export function scopeFilter(caller: Caller): (object: Seen) => boolean {
  return isUnscoped(caller) ? () => true : (object) => isInScope(caller, object);
}

/** Whether the caller may see every object. */
export function isUnscoped(caller: Caller): boolean {
  return caller.kind === 'Everyone' || (caller.kind === 'Person' && caller.limit === undefined);
}

/** For a watch: what `caller` is shown of an object that leaves its view. */
export function concealing(caller: Caller): { readonly conceal?: (item: StoredObject) => StoredObject } {
  return isUnscoped(caller) ? {} : { conceal: toStub };
}

/** What is told of an object that has left a caller's scope, or may never have been in it: that whatever they had of it is gone. */
function toStub({ apiVersion, kind, metadata }: StoredObject): StoredObject {
  return { apiVersion, kind, metadata: { ...metadata, labels: {}, annotations: {} } };
}

/**
 * @param act such as "read"
 * @throws {ApiError} Forbidden; NotAssigned for a node, whose agent takes that for the server's word that it has no more to do with it
 */
export function checkScope(caller: Caller, act: string, object: Seen): void {
  if (!isInScope(caller, object)) {
    const what = `${object.kind.toLowerCase()} ${JSON.stringify(object.metadata.name)}`;
    throw caller.kind === 'Node' && object.kind === 'Project'
      ? new ApiError('NotAssigned', `Cannot ${act} ${what} as it is not bound to node ${JSON.stringify(caller.node)}`)
      : new ApiError('Forbidden', `Cannot ${act} ${what} as ${explain(caller)}`);
  }
}

/** A node that asks for another's is told so, rather than given an empty list. @throws {ApiError} Forbidden */
export function checkNodeRef(nodeRef: string | undefined, caller: Caller, what: string): void {
  if (caller.kind === 'Node' && nodeRef !== undefined && nodeRef !== caller.node) {
    throw new ApiError(
      'Forbidden',
      `Cannot list the ${what} of node ${JSON.stringify(nodeRef)} as a node sees its own alone: you are ${describeCaller(caller)}`,
    );
  }
}

/** Of a name alone, before anything tells whether there is such an object. @throws {ApiError} Forbidden */
export function checkName(caller: Caller, act: string, { kind, name }: { readonly kind: string; readonly name: string }): void {
  if (caller.kind === 'Person' && caller.limit !== undefined && kind !== 'Node' && !name.startsWith(caller.limit.namePrefix)) {
    throw new ApiError('Forbidden', `Cannot ${act} ${kind.toLowerCase()} ${JSON.stringify(name)} as ${explain(caller)}`);
  }
}

function explain(caller: Caller): string {
  return caller.kind === 'Person' && caller.limit !== undefined
    ? `your token is limited to ${describeLimit(caller.limit)}: you are ${caller.user} (${caller.role})`
    : `it is none of yours: you are ${describeCaller(caller)}`;
}

function nodeRefOf({ status }: Seen): unknown {
  return (status as { readonly nodeRef?: unknown } | undefined)?.nodeRef;
}
