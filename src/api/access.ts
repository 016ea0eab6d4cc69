/**
 * Who may do what: the words of it, for the server that decides, for tokens that say it, and for `caractrl auth can-i`. Pure.
 *
 * A role is a set of verbs on resources. A right is what no role but admin has by itself, as it is worth more than it looks: `exec` runs
 * commands in others' containers, `secrets` shows values, `privileged` is root on the nodes.
 */

/** What is done. `read` is get, list and watch; `report` is what agents say of themselves and of what they run. */
export const VERBS = ['read', 'create', 'update', 'delete', 'reveal', 'exec', 'use', 'report'] as const;
export type Verb = (typeof VERBS)[number];

/** To what. `privileged` stands for the settings of services that come to root on a node. */
export const ACCESS_RESOURCES = [
  'nodes',
  'projects',
  'secrets',
  'events',
  'logs',
  'volumes',
  'privileged',
  'metrics',
  'throughput',
  'tokens',
  'audit',
] as const;
export type AccessResource = (typeof ACCESS_RESOURCES)[number];

/** Roles of people and their tools. */
export const PERSON_ROLES = ['admin', 'editor', 'viewer'] as const;
export type PersonRole = (typeof PERSON_ROLES)[number];

/** `node`: lets a machine join, and nothing else. */
export const TOKEN_ROLES = [...PERSON_ROLES, 'node'] as const;

export const RIGHTS = ['exec', 'secrets', 'privileged'] as const;
export type Right = (typeof RIGHTS)[number];

type Rules = Readonly<Partial<Record<AccessResource, readonly Verb[]>>>;

const VIEWER: Rules = {
  nodes: ['read'],
  projects: ['read'],
  secrets: ['read'], // names, sizes and fingerprints; values are `reveal`
  events: ['read'],
  logs: ['read'],
  volumes: ['read'],
  metrics: ['read'],
};
const WRITE: readonly Verb[] = ['read', 'create', 'update', 'delete'];

const RULES_BY_ROLE: Readonly<Record<Exclude<PersonRole, 'admin'>, Rules>> = {
  viewer: VIEWER,
  editor: { ...VIEWER, projects: WRITE, secrets: WRITE, volumes: ['read', 'delete'] },
};

const RULES_BY_RIGHT: Readonly<Record<Right, Rules>> = {
  exec: { projects: ['exec'] },
  secrets: { secrets: ['reveal'] },
  privileged: { privileged: ['use'] },
};

/** What is the whole fleet's: a token that is limited to some Projects and Secrets does not see it. */
const UNLIMITED: ReadonlySet<AccessResource> = new Set<AccessResource>(['metrics']);

export interface Grant {
  readonly role: PersonRole;
  readonly rights: readonly Right[];
  readonly isLimited: boolean;
}

/** Whether a role with these rights may do it at all; to which objects is for its limit to say. */
export function isGranted({ role, rights, isLimited }: Grant, verb: Verb, resource: AccessResource): boolean {
  if (role === 'admin') {
    return true;
  }
  if (isLimited && UNLIMITED.has(resource)) {
    return false;
  }
  return [RULES_BY_ROLE[role], ...rights.map((right) => RULES_BY_RIGHT[right])].some((rules) => rules[resource]?.includes(verb) === true);
}

/** What would have to be asked for: the least role that has it, or the right. */
export function whatGrants(verb: Verb, resource: AccessResource): string {
  const right = RIGHTS.find((candidate) => RULES_BY_RIGHT[candidate][resource]?.includes(verb) === true);
  if (right !== undefined) {
    return `the right ${right}`;
  }
  const role = (['viewer', 'editor'] as const).find((candidate) => RULES_BY_ROLE[candidate][resource]?.includes(verb) === true);
  return `role ${role ?? 'admin'}`;
}
