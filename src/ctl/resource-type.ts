/** The names of resources on the command line: singular, plural, short, TYPE/NAME, lists of types. */
import { UsageError } from './ctl-error.ts';

export const RESOURCE_TYPES = ['node', 'project', 'secret'] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

const WORDS: Readonly<Record<ResourceType, { readonly plural: string; readonly kind: string; readonly aliases: readonly string[] }>> = {
  node: { plural: 'nodes', kind: 'Node', aliases: ['node', 'nodes', 'no'] },
  project: { plural: 'projects', kind: 'Project', aliases: ['project', 'projects', 'proj'] },
  secret: { plural: 'secrets', kind: 'Secret', aliases: ['secret', 'secrets'] },
};

/** What a command line selects of one type; no names: all. */
export interface Selection {
  readonly type: ResourceType;
  readonly names: readonly string[];
}

export function pluralOf(type: ResourceType): string {
  return WORDS[type].plural;
}

export function kindOf(type: ResourceType): string {
  return WORDS[type].kind;
}

export function typeOf(kind: 'Node' | 'Project' | 'Secret'): ResourceType {
  return ({ Node: 'node', Project: 'project', Secret: 'secret' } as const)[kind];
}

/** What looks like a type and is reached in another way -> that way. */
const HINTS = [
  [/^events?$/u, 'caractrl events'],
  [/^vol(?:umes?)?$/u, 'caractrl get volumes, or caractrl delete volume NODE/NAME'],
] as const;

/** What others have as types -> where that is here. */
const FOREIGN = [
  [
    /^(?:services?|svc|containers?|pods?|po)$/u,
    'caractrl describe project NAME shows its services, caractrl top services what all of them use',
  ],
  [/^(?:deploy(?:ments?)?|apps?|stacks?|jobs?|statefulsets?|sts)$/u, 'caractrl get projects'],
  [/^(?:namespaces?|ns)$/u, 'there are none: name Projects apart, and select them by labels with -l'],
  [/^(?:configmaps?|cm)$/u, 'files of a service, or caractrl get secrets'],
  [/^(?:tokens?)$/u, 'caractrl token list'],
  [/^(?:revisions?|rollouts?)$/u, 'caractrl rollout history PROJECT'],
] as const;

/** Tells whether `readType` takes the word. */
export function isType(word: string): boolean {
  return RESOURCE_TYPES.some((type) => WORDS[type].aliases.includes(word.toLowerCase()));
}

/** @throws {UsageError} naming the types there are */
export function readType(word: string): ResourceType {
  const lower = word.toLowerCase();
  const found = RESOURCE_TYPES.find((type) => WORDS[type].aliases.includes(lower));
  const elsewhere = HINTS.find(([pattern]) => pattern.test(lower))?.[1];
  if (elsewhere !== undefined) {
    throw new UsageError(`Cannot use ${JSON.stringify(word)} here: it takes ${RESOURCE_TYPES.map(pluralOf).join(', ')}`, {
      hint: elsewhere,
    });
  }
  if (found === undefined) {
    throw new UsageError(`Unknown resource type ${JSON.stringify(word)}: known are ${RESOURCE_TYPES.map(pluralOf).join(', ')}`, {
      hint: FOREIGN.find(([pattern]) => pattern.test(lower))?.[1] ?? 'name it as in: caractrl get nodes',
    });
  }
  return found;
}

/** Reads `TYPE[,TYPE] [NAME...]` or `TYPE/NAME...`; "all" is every type. @throws {UsageError} */
export function readSelections(args: readonly string[], command: string): readonly Selection[] {
  const [first, ...names] = args;
  if (first === undefined) {
    throw new UsageError(
      `Cannot tell what to ${command} as no resource type is given: known are ${RESOURCE_TYPES.map(pluralOf).join(', ')}`,
      {
        hint: `caractrl ${command} --help`,
      },
    );
  }
  if (args.some((arg) => arg.includes('/'))) {
    if (!first.includes('/')) {
      first.split(',').forEach(readType); // what is no type at all is said to be none
    }
    return readPairs(args, command);
  }
  const types = first.toLowerCase() === 'all' ? RESOURCE_TYPES : [...new Set(first.split(',').map(readType))];
  if (types.length > 1 && names.length > 0) {
    throw new UsageError(`Cannot ${command} names of several types at once: write TYPE/NAME for each`, {
      hint: `caractrl ${command} ${names.map((name) => `${types[0]}/${name}`).join(' ')}`,
    });
  }
  return types.map((type) => ({ type, names: unique(names) }));
}

/** As `readSelections`, where all of a type would be too much. @throws {UsageError} when no name is given */
export function readNamedSelections(args: readonly string[], command: string): readonly Selection[] {
  const selections = readSelections(args, command);
  const [unnamed] = selections.filter(({ names }) => names.length === 0);
  if (unnamed !== undefined) {
    throw new UsageError(`Cannot tell which ${pluralOf(unnamed.type)} to ${command} as no name is given`, {
      hint: `caractrl ${command} ${unnamed.type} NAME`,
    });
  }
  return selections;
}

function readPairs(args: readonly string[], command: string): readonly Selection[] {
  const namesByType = new Map<ResourceType, string[]>();
  for (const arg of args) {
    const [typeWord = '', name = '', ...rest] = arg.split('/');
    if (typeWord === '' || name === '' || rest.length > 0) {
      throw new UsageError(`Cannot read ${JSON.stringify(arg)} as each argument must be TYPE/NAME once one of them is`, {
        hint: `caractrl ${command} node/worker-01`,
      });
    }
    const type = readType(typeWord);
    namesByType.set(type, [...(namesByType.get(type) ?? []), name]);
  }
  return [...namesByType].map(([type, names]) => ({ type, names: unique(names) }));
}

function unique(names: readonly string[]): readonly string[] {
  if (names.includes('')) {
    throw new UsageError('Cannot use an empty name');
  }
  return [...new Set(names)];
}
