/** The names of resources on the command line: singular, plural, short, TYPE/NAME, lists of types. */
import { UsageError } from './ctl-error.ts';

/** What every verb with a TYPE takes. */
export const RESOURCE_TYPES = ['node', 'project', 'secret'] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/** What some verbs take alone, each in a way of its own. */
const OTHER_TYPES = ['volume', 'server', 'service'] as const;
type OtherType = (typeof OTHER_TYPES)[number];
type AnyType = ResourceType | OtherType;

interface Words {
  readonly plural: string;
  readonly aliases: readonly string[];
  /** none of the other verbs takes it */
  readonly onlyFor?: readonly string[];
  readonly exceptFor?: readonly string[];
  /** where it is, for a verb that does not take it, or not beside others */
  readonly instead?: string;
}

/** All types there are: from here come the verbs' lists of what they take, help and completion. */
const WORDS: Readonly<Record<AnyType, Words>> = {
  node: { plural: 'nodes', aliases: ['node', 'nodes', 'no'] },
  project: { plural: 'projects', aliases: ['project', 'projects', 'proj'] },
  secret: { plural: 'secrets', aliases: ['secret', 'secrets'], exceptFor: ['top'] },
  volume: {
    plural: 'volumes',
    aliases: ['volume', 'volumes', 'vol', 'vols'],
    onlyFor: ['get', 'delete'],
    instead: 'caractrl get volumes, or caractrl delete volume NODE/NAME',
  },
  server: { plural: 'servers', aliases: ['server', 'servers'], onlyFor: ['get'], instead: 'caractrl get servers' },
  service: {
    plural: 'services',
    aliases: ['service', 'services', 'svc'],
    onlyFor: ['top'],
    instead: 'caractrl describe project NAME shows its services, caractrl top services what all of them use',
  },
};

const KINDS = { node: 'Node', project: 'Project', secret: 'Secret' } as const;

/** What a command line selects of one type; no names: all. */
export interface Selection {
  readonly type: ResourceType;
  readonly names: readonly string[];
}

export function pluralOf(type: ResourceType): string {
  return WORDS[type].plural;
}

export function kindOf(type: ResourceType): string {
  return KINDS[type];
}

export function typeOf(kind: 'Node' | 'Project' | 'Secret'): ResourceType {
  return ({ Node: 'node', Project: 'project', Secret: 'secret' } as const)[kind];
}

/** Plurals of the types that `verb` takes. @param verb without one, those that every verb takes */
export function typesFor(verb?: string): readonly string[] {
  return [...RESOURCE_TYPES, ...OTHER_TYPES].filter((type) => takes(verb, type)).map((type) => WORDS[type].plural);
}

function takes(verb: string | undefined, type: AnyType): boolean {
  const { onlyFor, exceptFor = [] } = WORDS[type];
  return verb === undefined ? onlyFor === undefined : (onlyFor ?? [verb]).includes(verb) && !exceptFor.includes(verb);
}

/** Each type that is got, and its other words: for the help. */
export function describeTypes(): string {
  return [...RESOURCE_TYPES, ...OTHER_TYPES]
    .filter((type) => takes('get', type))
    .map((type) => `${WORDS[type].plural} (${WORDS[type].aliases.filter((word) => word !== WORDS[type].plural).join(', ')})`)
    .join(', ');
}

/** What looks like a type and is reached in another way -> that way. */
const HINTS = [[/^events?$/u, 'caractrl events']] as const;

/** What others have as types -> where that is here. */
const FOREIGN = [
  [/^(?:containers?|pods?|po)$/u, 'caractrl describe project NAME shows its services, caractrl top services what all of them use'],
  [/^(?:deploy(?:ments?)?|apps?|stacks?|jobs?|statefulsets?|sts)$/u, 'caractrl get projects'],
  [/^(?:namespaces?|ns)$/u, 'there are none: name Projects apart, and select them by labels with -l'],
  [/^(?:configmaps?|cm)$/u, 'files of a service, or caractrl get secrets'],
  [/^(?:tokens?)$/u, 'caractrl token list'],
  [/^(?:revisions?|rollouts?)$/u, 'caractrl rollout history PROJECT'],
] as const;

/** The type that a word means, if it means one that every verb takes. */
export function findType(word: string): ResourceType | undefined {
  return RESOURCE_TYPES.find((type) => isWordFor(type, word));
}

/** Tells whether a word means that type, in singular, plural or short. */
export function isWordFor(type: AnyType, word: string): boolean {
  return WORDS[type].aliases.includes(word.toLowerCase());
}

/** @param verb for the list of what it takes. @throws {UsageError} naming the types there are */
export function readType(word: string, verb?: string): ResourceType {
  const found = findType(word);
  if (found !== undefined && (verb === undefined || takes(verb, found))) {
    return found;
  }
  const lower = word.toLowerCase();
  const other = OTHER_TYPES.find((type) => isWordFor(type, word));
  const instead = other === undefined ? HINTS.find(([pattern]) => pattern.test(lower))?.[1] : WORDS[other].instead;
  const known = typesFor(verb).join(', ');
  if (instead !== undefined) {
    const isTakenAlone = other !== undefined && takes(verb, other);
    const why = isTakenAlone ? 'that comes alone, without other types' : `it takes ${known}`;
    throw new UsageError(`Cannot use ${JSON.stringify(word)} here: ${why}`, { hint: instead });
  }
  if (found !== undefined) {
    throw new UsageError(`Cannot use ${JSON.stringify(word)} here: it takes ${known}`, { hint: `caractrl ${verb ?? ''} --help` });
  }
  throw new UsageError(`Unknown resource type ${JSON.stringify(word)}: known are ${known}`, {
    hint: FOREIGN.find(([pattern]) => pattern.test(lower))?.[1] ?? `caractrl ${verb ?? 'get'} --help`,
  });
}

/** Reads `TYPE[,TYPE] [NAME...]` or `TYPE/NAME...`; "all" is every type. @throws {UsageError} */
export function readSelections(args: readonly string[], command: string): readonly Selection[] {
  const [first, ...names] = args;
  if (first === undefined) {
    throw new UsageError(`Cannot tell what to ${command} as no resource type is given: known are ${typesFor(command).join(', ')}`, {
      hint: `caractrl ${command} --help`,
    });
  }
  if (args.some((arg) => arg.includes('/'))) {
    if (!first.includes('/')) {
      first.split(',').forEach((word) => readType(word, command)); // what is no type at all is said to be none
    }
    return readPairs(args, command);
  }
  const types = first.toLowerCase() === 'all' ? RESOURCE_TYPES : [...new Set(first.split(',').map((word) => readType(word, command)))];
  if (types.length > 1 && names.length > 0) {
    throw new UsageError(`Cannot ${command} names of several types at once: write TYPE/NAME for each`, {
      hint: `caractrl ${command} ${names.map((name) => `${types[0]}/${name}`).join(' ')}`,
    });
  }
  return types.map((type) => ({ type, names: unique(names) }));
}

/** As `readSelections`, where all of a type would be too much. @throws {UsageError} when no name is given */
export function readNamedSelections(args: readonly string[], command: string): readonly Selection[] {
  checkHasType(args, command);
  const selections = readSelections(args, command);
  const [unnamed] = selections.filter(({ names }) => names.length === 0);
  if (unnamed !== undefined) {
    throw new UsageError(`Cannot tell which ${pluralOf(unnamed.type)} to ${command} as no name is given`, {
      hint: `caractrl ${command} ${unnamed.type} NAME`,
    });
  }
  return selections;
}

/** A name alone, as of a Project in Compose. @throws {UsageError} */
function checkHasType(args: readonly string[], command: string): void {
  const [word = ''] = args;
  const isType = [...RESOURCE_TYPES, ...OTHER_TYPES].some((type) => isWordFor(type, word));
  const isForeign = [...HINTS, ...FOREIGN].some(([pattern]) => pattern.test(word.toLowerCase()));
  if (args.length === 1 && /^[a-z0-9][a-z0-9.-]*$/u.test(word) && !isType && !isForeign && word !== 'all') {
    throw new UsageError(
      `Cannot tell what ${JSON.stringify(word)} is as no type stands before it: known are ${typesFor(command).join(', ')}`,
      {
        hint: `caractrl ${command} project ${word}`,
      },
    );
  }
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
    const type = readType(typeWord, command);
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
