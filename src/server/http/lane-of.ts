/** Which lane a request takes (lanes.ts). Pure. */
import type { Caller } from '../auth/caller.ts';
import type { Lane } from './lanes.ts';
import type { Route } from './route.ts';

export interface Asked {
  readonly caller: Pick<Caller, 'kind'>;
  readonly query: unknown;
}

/** By who asks; where nobody says who they are, by what agents alone ask for. */
export function laneOf(route: Pick<Route, 'tag' | 'query'>, { caller, query }: Asked): Lane {
  if (route.tag === 'agents' || caller.kind === 'Node') {
    return 'agents';
  }
  const { watch, resourceVersion, nodeRef } = query as Readonly<Record<string, unknown>>;
  const isOngoingWatch = watch !== undefined && watch !== 'false' && resourceVersion !== undefined;
  if (!isList(route) || isOngoingWatch) {
    return 'people';
  }
  return nodeRef === undefined ? 'bulk' : 'agents'; // its own Projects cost little: they are found by an index
}

/** What may be asked for in pages may be long. */
function isList({ query }: Pick<Route, 'query'>): boolean {
  const { properties = {} } = (query ?? {}) as { readonly properties?: Readonly<Record<string, unknown>> };
  return Object.hasOwn(properties, 'limit');
}
