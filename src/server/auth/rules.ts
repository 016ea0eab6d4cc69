/**
 * The rule of each route, and what it comes to for a caller; pure. What a route does to single objects is for scope.ts to judge.
 *
 * Callers  http/guard.ts asks before a body is read; http/route.ts makes a rule a part of every route.
 */
import { isGranted, whatGrants, type AccessResource, type Verb } from '../../api/access.ts';
import { describeCaller, type Caller } from './caller.ts';

/**
 * What nodes may do, by their own credential: `self` under `{node}`, else `{name}` of the path, which must be theirs; `own` what concerns them, which
 * the handler judges; `any` all of it.
 */
export type NodeAccess = 'self' | 'own' | 'any';

export interface Rule {
  readonly verb: Verb;
  readonly resource: AccessResource;
  /** not there: nothing */
  readonly nodes?: NodeAccess;
  /** a join token gets in here too */
  readonly joining?: true;
}

/** `anyone`: also without credentials. `known`: with any. */
export type Access = 'anyone' | 'known' | Rule;

export interface Refusal {
  readonly reason: 'Unauthorized' | 'Forbidden';
  /** completes "Cannot ... as" */
  readonly why: string;
}

/** @param name that of the path @returns undefined when it is allowed, as far as that can be told without looking at objects */
export function judge(caller: Caller, access: Access, name?: string): Refusal | undefined {
  if (access === 'anyone' || caller.kind === 'Everyone') {
    return undefined;
  }
  if (caller.kind === 'Nobody') {
    return { reason: 'Unauthorized', why: 'this server asks for credentials and there were none: log in with caractrl login' };
  }
  return access === 'known' || isAllowed(caller, access, name) ? undefined : { reason: 'Forbidden', why: explain(caller, access, name) };
}

type Known = Exclude<Caller, { kind: 'Everyone' | 'Nobody' }>;

function isAllowed(caller: Known, rule: Rule, name: string | undefined): boolean {
  switch (caller.kind) {
    case 'Person':
      return isGranted({ ...caller, isLimited: caller.limit !== undefined }, rule.verb, rule.resource);
    case 'Joining':
      return rule.joining === true && (caller.node === undefined || caller.node === name);
    case 'Node':
      return rule.nodes === 'any' || rule.nodes === 'own' || (rule.nodes === 'self' && name === caller.node);
    default:
      return caller satisfies never;
  }
}

function explain(caller: Known, rule: Rule, name: string | undefined): string {
  const you = `you are ${describeCaller(caller)}`;
  if (caller.kind === 'Node') {
    return rule.nodes === 'self' ? `a node speaks for itself alone: ${you}` : `nodes may not: ${you}`;
  }
  if (caller.kind === 'Joining') {
    return rule.joining === true
      ? `that token is for node ${JSON.stringify(caller.node)} alone, not ${JSON.stringify(name)}`
      : `a join token lets a machine join and nothing else: ${you}`;
  }
  return `that needs ${whatGrants(rule.verb, rule.resource)}: ${you}`;
}
