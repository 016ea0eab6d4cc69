/** Values for fuzzing: such as a JSON Schema describes, and such as nobody expects. */
import type { Dice } from './dice.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

const WORDS = ['a', 'web', 'shop', 'worker-01', 'db', 'true', '1', 'x'.repeat(63), 'team.a', 'null', 'tcp', '80', 'data', '512Mi', '10s'];

/** Texts that have broken some program or other. */
const NASTY_TEXTS = [
  '',
  ' ',
  '\0',
  '\n',
  '\u202e',
  '\ud800',
  '💥'.repeat(100),
  '../../etc/passwd',
  '..',
  '.',
  '/',
  '//',
  '\\',
  '%2e%2e%2f',
  '%',
  '%00',
  '__proto__',
  'constructor',
  'toString',
  'prototype',
  '$ref',
  "'; drop table objects; --",
  '$(reboot)',
  '`id`',
  '${jndi:x}',
  '<script>',
  'A'.repeat(300),
  'A'.repeat(5000),
  '-1',
  '1e999',
  'NaN',
  '0x10',
  '9'.repeat(40),
  '-'.repeat(64),
  'a.'.repeat(130),
  '1970-01-01T00:00:00Z',
  '+275760-09-13T00:00:00Z',
  '9999h9999m',
  '1Ei',
  '0.0000000000000001m',
  'ſ',
  'İ',
];
const NASTY_NUMBERS = [0, -0, -1, 1, 0.1, 1e-320, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 65_535, 65_536, 4_294_967_296.5];
const NASTY_KEYS = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '', ' ', '~', '/', '~1~0', 'a/b', '$ref', '\0'];

/** Something, whatever the schema says. */
export function nastyValue(dice: Dice, depth = 0): unknown {
  switch (dice.roll(depth > 3 ? 5 : 9)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(NASTY_NUMBERS);
    case 3:
    case 4:
      return dice.pick(NASTY_TEXTS);
    case 5:
      return Array.from({ length: dice.roll(4) }, () => nastyValue(dice, depth + 1));
    case 6:
      return nastyObject(dice, depth);
    case 7:
      return dice.chance(0.1) ? nest(dice) : [];
    default:
      return dice.chance(0.1) ? Array.from({ length: 2000 }, () => dice.roll(10)) : {};
  }
}

export function nastyText(dice: Dice): string {
  return dice.pick(dice.chance(0.5) ? NASTY_TEXTS : WORDS);
}

function nastyObject(dice: Dice, depth: number): unknown {
  const entries = Array.from({ length: dice.roll(4) }, () => [dice.pick(NASTY_KEYS), nastyValue(dice, depth + 1)] as const);
  return Object.fromEntries(entries); // own properties, also __proto__
}

function nest(dice: Dice): unknown {
  let value: unknown = 1;
  for (let depth = dice.pick([50, 99, 101, 1000]); depth > 0; depth -= 1) {
    value = dice.chance(0.5) ? [value] : { a: value };
  }
  return value;
}

export interface Making {
  readonly dice: Dice;
  /** how likely each value is another than the schema says */
  readonly wildness: number;
  /** texts of a known form: pattern -> examples */
  readonly examples: (schema: JsonSchema, field: string) => readonly unknown[];
}

/** A value of `schema`, in which some things may be wrong. */
export function makeValue(schema: JsonSchema, making: Making, field = '', depth = 0): unknown {
  const { dice, wildness, examples } = making;
  if (dice.chance(wildness)) {
    return nastyValue(dice);
  }
  if ('const' in schema) {
    return schema['const'];
  }
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as readonly JsonSchema[] | undefined;
  if (alternatives !== undefined) {
    return makeValue(dice.pick(alternatives), making, field, depth);
  }
  if (Array.isArray(schema['enum'])) {
    return dice.pick(schema['enum'] as readonly unknown[]);
  }
  const known = examples(schema, field);
  if (known.length > 0) {
    return dice.pick(known);
  }
  switch (schema['type']) {
    case 'object':
      return makeObject(schema, making, depth);
    case 'array': {
      const length = depth > 6 ? 0 : dice.roll(Math.min(3, Number(schema['maxItems'] ?? 3)) + 1);
      return Array.from({ length: Math.max(length, Number(schema['minItems'] ?? 0)) }, () =>
        makeValue((schema['items'] ?? {}) as JsonSchema, making, field, depth + 1),
      );
    }
    case 'integer':
    case 'number': {
      const minimum = Number(schema['minimum'] ?? 0);
      return minimum + dice.roll(Math.max(1, Math.min(100, Number(schema['maximum'] ?? 100) - minimum + 1)));
    }
    case 'boolean':
      return dice.chance(0.5);
    case 'string':
      return dice.pick(WORDS);
    default:
      return nastyValue(dice);
  }
}

function makeObject(schema: JsonSchema, making: Making, depth: number): unknown {
  const { dice, wildness } = making;
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema['required'] ?? []) as readonly string[];
  const entries: (readonly [string, unknown])[] = [];
  for (const [name, property] of Object.entries(properties)) {
    const isWanted = required.includes(name) ? !dice.chance(wildness) : dice.chance(depth > 5 ? 0.05 : 0.35);
    if (isWanted) {
      entries.push([name, makeValue(property, making, name, depth + 1)]);
    }
  }
  const more = schema['additionalProperties'] ?? Object.values((schema['patternProperties'] ?? {}) as object)[0];
  if (typeof more === 'object' && more !== null) {
    for (let count = dice.roll(3); count > 0; count -= 1) {
      entries.push([
        dice.chance(wildness) ? dice.pick(NASTY_KEYS) : dice.pick(WORDS),
        makeValue(more as JsonSchema, making, '', depth + 1),
      ]);
    }
  }
  if (dice.chance(wildness)) {
    entries.push([dice.pick([...NASTY_KEYS, 'extra']), nastyValue(dice)]);
  }
  return Object.fromEntries(entries);
}

/** The text of a document, in which some bytes may be wrong. */
export function spoilText(text: string, dice: Dice): string {
  const at = dice.roll(text.length + 1);
  switch (dice.roll(7)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return (
        text.slice(0, at) +
        dice.pick(['"', '{', '}', '[', ']', ',', ':', '\0', '\\', '\ufeff', '\u2028', '1e999', '&', '*']) +
        text.slice(at)
      );
    case 2:
      return text + text;
    case 3:
      return text.replace(/"([a-zA-Z]+)":/u, '"$1":1,"$1":');
    case 4:
      return text.replace(/\d+/u, dice.pick(['1e999', '-', '0123', '9'.repeat(400), '0.' + '1'.repeat(400)]));
    case 5:
      return `${dice.pick(['[', '{"a":'])}`.repeat(dice.pick([10, 100, 101, 5000])) + text;
    default:
      return ` ${text.slice(0, at)}${' '.repeat(dice.roll(2000))}${text.slice(at)}`;
  }
}
