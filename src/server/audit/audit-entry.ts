/** What of a request is written down. Pure. */
import type { Verb } from '../../api/access.ts';
import type { AuditEntry } from '../../api/audit.ts';
import type { Caller } from '../auth/caller.ts';
import type { Access } from '../auth/rules.ts';

/** A request that was answered. */
export interface Answered {
  readonly caller: Caller;
  /** undefined: a path that there is not */
  readonly access: Access | undefined;
  readonly method: string;
  /** without the query */
  readonly path: string;
  /** as the route table has it, with `:name` */
  readonly route: string;
  readonly params: Readonly<Record<string, string>>;
  /** parsed JSON, of which nothing but metadata.name is looked at */
  readonly body: unknown;
  readonly status: number;
  /** what the handler says beside: the object that it made, or that values were shown */
  readonly note?: { readonly object?: string; readonly verb?: Verb } | undefined;
}

type Told = Pick<AuditEntry, 'who' | 'role' | 'token' | 'verb' | 'object' | 'outcome'>;

const ALWAYS: ReadonlySet<Verb> = new Set<Verb>(['create', 'update', 'delete', 'reveal', 'exec', 'use']);

/**
 * Changes and what shows values or runs commands, whatever came of them; machines that join; and all that was refused.
 * Not: reads, and what agents report all day.
 * @returns undefined where nothing is written down
 */
export function describeAnswered(answered: Answered): Told | undefined {
  const { caller, access, status, note } = answered;
  const rule = typeof access === 'object' ? access : undefined;
  const verb = note?.verb ?? rule?.verb ?? 'read';
  const isRefused = status === 401 || status === 403;
  const isJoin = caller.kind === 'Joining';
  if (access === undefined || !(isRefused || isJoin || ALWAYS.has(verb))) {
    return undefined;
  }
  const object = note?.object ?? objectOf(answered);
  return {
    ...whoOf(caller),
    verb,
    ...(object !== undefined && { object }),
    outcome: isRefused ? 'Refused' : status < 400 ? 'Done' : 'Failed',
  };
}

function whoOf(caller: Caller): Pick<AuditEntry, 'who' | 'role' | 'token'> {
  switch (caller.kind) {
    case 'Everyone':
      return { who: 'anybody' };
    case 'Nobody':
      return { who: 'nobody' };
    case 'Person':
      return { who: caller.user, role: caller.role, token: caller.shown.id };
    case 'Joining':
      return { who: `join-token/${caller.shown.id}`, token: caller.shown.id };
    case 'Node':
      return { who: `node/${caller.node}`, token: caller.shown.id };
    default:
      return caller satisfies never;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  nodes: 'Node',
  projects: 'Project',
  secrets: 'Secret',
  tokens: 'Token',
  events: 'Event',
  'node-keys': 'NodeKey',
};

/** The last object that the path names, else the one that the body does. */
function objectOf({ route, params, body }: Answered): string | undefined {
  const named = [...route.matchAll(/\/([a-z-]+)\/:([a-z]+)/gu)].findLast(([, plural = '']) => KINDS[plural] !== undefined);
  if (named !== undefined) {
    return `${KINDS[named[1] ?? '']}/${(params[named[2] ?? ''] ?? '').slice(0, 253)}`;
  }
  const kind = KINDS[/\/([a-z-]+)$/u.exec(route)?.[1] ?? ''];
  const name = (body as { readonly metadata?: { readonly name?: unknown } | null } | null | undefined)?.metadata?.name;
  return kind !== undefined && typeof name === 'string' ? `${kind}/${name.slice(0, 253)}` : undefined;
}
