/** Who is calling: what a request's credentials come to. Pure. */
import type { PersonRole, Right } from '../../api/access.ts';
import { parseSelector, type Requirement } from '../../api/selector.ts';
import type { TokenLimit, WhoAmI } from '../../api/token.ts';

/** Which Projects and Secrets a person's token is for. */
export interface Limit {
  readonly given: TokenLimit;
  readonly requirements: readonly Requirement[];
  readonly namePrefix: string;
}

export interface Person {
  readonly kind: 'Person';
  readonly user: string;
  readonly role: PersonRole;
  readonly rights: readonly Right[];
  readonly limit: Limit | undefined;
}

/** The credential that somebody showed. */
export interface Shown {
  readonly id: string;
  /** wall ms; Infinity: never */
  readonly expiresAtMs: number;
}

export type Caller =
  /** the server asks for no credentials: everyone may do everything */
  | { readonly kind: 'Everyone' }
  /** credentials are asked for, and there were none */
  | { readonly kind: 'Nobody' }
  | (Person & { readonly shown: Shown })
  /** a machine that may register, under `node` alone where that is given */
  | { readonly kind: 'Joining'; readonly node: string | undefined; readonly shown: Shown }
  | { readonly kind: 'Node'; readonly node: string; readonly shown: Shown };

export const EVERYONE: Caller = { kind: 'Everyone' };
export const NOBODY: Caller = { kind: 'Nobody' };

/** @throws {ApiError} Invalid for a selector that is none */
export function toLimit(given: TokenLimit): Limit {
  return { given, requirements: parseSelector(given.labelSelector ?? ''), namePrefix: given.namePrefix ?? '' };
}

/** For a sentence: "you are alice (viewer)". */
export function describeCaller(caller: Caller): string {
  switch (caller.kind) {
    case 'Everyone':
      return 'anybody';
    case 'Nobody':
      return 'nobody known';
    case 'Person': {
      const rights = caller.rights.length === 0 ? '' : ` with ${caller.rights.join(', ')}`;
      const limit = caller.limit === undefined ? '' : `, limited to ${describeLimit(caller.limit)}`;
      return `${caller.user} (${caller.role}${rights}${limit})`;
    }
    case 'Joining':
      return `a machine with join token ${caller.shown.id}`;
    case 'Node':
      return `node ${caller.node}`;
    default:
      return caller satisfies never;
  }
}

export function describeLimit({ given: { namePrefix, labelSelector } }: Limit): string {
  const parts = [
    ...(namePrefix === undefined ? [] : [`names that begin with ${namePrefix}`]),
    ...(labelSelector === undefined ? [] : [`labels ${labelSelector}`]),
  ];
  return parts.join(' and ');
}

/** The name of the person that calls, where it is one. */
export function userOf(caller: Caller): string | undefined {
  return caller.kind === 'Person' ? caller.user : undefined;
}

export function toWhoAmI(caller: Caller): WhoAmI {
  if (caller.kind === 'Everyone' || caller.kind === 'Nobody') {
    return { kind: 'Everyone' };
  }
  const { id, expiresAtMs } = caller.shown;
  const shown = { tokenId: id, ...(Number.isFinite(expiresAtMs) && { expiresAt: new Date(expiresAtMs).toISOString() }) };
  if (caller.kind === 'Person') {
    const { user, role, rights, limit } = caller;
    return { kind: 'Person', user, role, rights: [...rights], ...(limit && { limit: limit.given }), ...shown };
  }
  return { kind: caller.kind, ...(caller.node !== undefined && { node: caller.node }), ...shown };
}
