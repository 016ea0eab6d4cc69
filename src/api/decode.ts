/**
 * Decodes unknown input by a schema: a typed value, or every field that is wrong with a JSON pointer each.
 *
 * Source   RFC 6901 (JSON pointers); TypeBox's errors have Ajv's form.
 */
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';
import type { Static, TSchema } from 'typebox';
import { ApiError, type FieldError } from './errors.ts';

/** A user who sent 300 mistakes wants to see them, not 8 of them; beyond this the answer itself becomes the problem. */
const MAX_ERRORS = 100;

/** Longer than any legal key: whose key is longer need not read all of it back. */
const MAX_POINTER_KEY = 400;

Settings.Set({ maxErrors: 4 * MAX_ERRORS });

export type Decoded<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly errors: readonly FieldError[] };

/** Returns the value unchanged when it fits `schema`, else what is wrong, at most 100 errors, in document order of the schema. */
export type Decoder<Value> = (input: unknown) => Decoded<Value>;

export interface DecoderOptions {
  /** whether an error may read back the value at this pointer; default: always */
  readonly isShown?: (pointer: string) => boolean;
}

/** Compiles `schema`; the decoder may be called often. */
export function createDecoder<Schema extends TSchema>(schema: Schema, options: DecoderOptions = {}): Decoder<Static<Schema>> {
  // compiled at first use: a program that never decodes this kind does not pay for it
  let validator: ReturnType<typeof Compile<Schema>> | undefined;
  return (input) => {
    validator ??= Compile(schema);
    if (validator.Check(input)) {
      return { ok: true, value: input };
    }
    return { ok: false, errors: toFieldErrors(schema, validator.Errors(input), { input, ...options }) };
  };
}

/** The decoded value. @throws {ApiError} Invalid with every field error; `what` names the document, as in "Cannot read Node" */
export function decodeOrThrow<Value>(decoder: Decoder<Value>, input: unknown, what: string): Value {
  const decoded = decoder(input);
  if (!decoded.ok) {
    throw invalid(what, decoded.errors);
  }
  return decoded.value;
}

/** An Invalid failure whose message carries the first errors, for those who see no `errors[]`. */
export function invalid(what: string, errors: readonly FieldError[]): ApiError {
  const shown = errors.slice(0, 3).map(({ pointer, detail }) => `${pointer === '' ? 'the document' : pointer} ${detail}`);
  const more = errors.length > shown.length ? `; and ${errors.length - shown.length} more` : '';
  return new ApiError('Invalid', `Cannot read ${what}: ${shown.join('; ')}${more}`, { errors });
}

type SchemaError = ReturnType<ReturnType<typeof Compile<TSchema>>['Errors']>[number];
type SchemaNode = Readonly<Record<string, unknown>>;

interface Input extends DecoderOptions {
  readonly input: unknown;
}

function toFieldErrors(schema: TSchema, found: readonly SchemaError[], input: Input): readonly FieldError[] {
  const byPointer = new Map<string, FieldError>();
  for (const error of found) {
    for (const fieldError of describe(schema as SchemaNode, error, input)) {
      const key = fieldError.pointer;
      if (!byPointer.has(key)) {
        byPointer.set(key, fieldError);
      }
    }
  }
  return [...byPointer.values()].slice(0, MAX_ERRORS);
}

function describe(schema: SchemaNode, error: SchemaError, { input, isShown }: Input): readonly FieldError[] {
  const pointer = error.instancePath;
  const params: Readonly<Record<string, unknown>> = error.params;
  if (error.keyword === 'required') {
    return stringsOf(params['requiredProperties']).map((name) => ({ pointer: `${pointer}/${escape(name)}`, detail: 'is required' }));
  }
  if (error.keyword === 'additionalProperties') {
    const node = resolve(schema, error.schemaPath);
    return stringsOf(params['additionalProperties']).map((name) => ({
      pointer: `${pointer}/${escape(shorten(name, MAX_POINTER_KEY))}`,
      detail: describeUnknownField(node, name),
    }));
  }
  if (error.keyword === 'boolean') {
    return []; // the additionalProperties error of the parent says the same with more to go on
  }
  const expects = expectationOf(schema, error.schemaPath);
  const current = isShown?.(pointer) === false ? '' : `: current value is ${show(valueAt(input, pointer))}`;
  return [{ pointer, detail: expects === undefined ? error.message : `must be ${expects}${current}` }];
}

function describeUnknownField(node: SchemaNode | undefined, name: string): string {
  if (typeof node?.['keyExpects'] === 'string') {
    return `is no legal key: it must be ${node['keyExpects']}`;
  }
  const known = Object.keys((node?.['properties'] ?? {}) as object);
  const near = known.find((candidate) => isNear(candidate, name));
  const there = known.length === 0 ? ': there are none here' : `: known are ${known.join(', ')}`;
  return `is an unknown field${near === undefined ? there : `: did you mean ${near}?`}`;
}

/** Same but for case and separators, or one edit apart. */
function isNear(left: string, right: string): boolean {
  const a = left.toLowerCase().replaceAll(/[-_]/gu, '');
  const b = right.toLowerCase().replaceAll(/[-_]/gu, '');
  if (a === b || a === `${b}s` || b === `${a}s`) {
    return true;
  }
  if (Math.abs(a.length - b.length) > 1) {
    return false;
  }
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) {
    start += 1;
  }
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) {
    end += 1;
  }
  return Math.max(a.length, b.length) - start - end <= 1 + (start + end > 3 ? 1 : 0) && start + end > 1;
}

/** The words of the nearest schema that has some, on the way from the failing schema up through unions; else words made from its type. */
function expectationOf(schema: SchemaNode, schemaPath: string): string | undefined {
  let path = schemaPath;
  let node = resolve(schema, path);
  while (/\/anyOf\/\d+$/u.test(path) && typeof node?.['expects'] !== 'string') {
    path = path.replace(/\/anyOf\/\d+$/u, '');
    node = resolve(schema, path);
  }
  if (typeof node?.['expects'] === 'string') {
    return node['expects'];
  }
  if (node === undefined || typeof node['type'] !== 'string') {
    return undefined;
  }
  return wordsOfType(node['type'], node);
}

function wordsOfType(type: string, node: SchemaNode): string | undefined {
  const bound = (keyword: string, before: string, after = ''): string =>
    typeof node[keyword] === 'number' ? `${before}${node[keyword]}${after}` : '';
  const range =
    typeof node['maximum'] === 'number' ? `${bound('minimum', ' from ')}${bound('maximum', ' to ')}` : bound('minimum', ' of ', ' or more');
  switch (type) {
    case 'object':
      return 'a map of fields';
    case 'array':
      return `a list${bound('minItems', ' of at least ')}${bound('maxItems', ', at most ')}`;
    case 'string':
      return `text${bound('maxLength', ' of at most ', ' characters')}`;
    case 'integer':
      return `a whole number${range}`;
    case 'number':
      return `a number${range}`;
    case 'boolean':
      return 'true or false';
    default:
      return undefined;
  }
}

function stringsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function resolve(schema: SchemaNode, schemaPath: string): SchemaNode | undefined {
  let node: unknown = schema;
  for (const part of schemaPath.replace(/^#\/?/u, '').split('/').filter(Boolean)) {
    node = typeof node === 'object' && node !== null ? (node as SchemaNode)[unescape(part)] : undefined;
  }
  return typeof node === 'object' && node !== null ? (node as SchemaNode) : undefined;
}

/** The value under a JSON pointer, or undefined. */
export function valueAt(input: unknown, pointer: string): unknown {
  let value = input;
  for (const part of pointer.split('/').slice(1)) {
    value = typeof value === 'object' && value !== null ? (value as SchemaNode)[unescape(part)] : undefined;
  }
  return value;
}

/** One reference token of a JSON pointer, escaped. */
export function escape(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1');
}

function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

function show(value: unknown): string {
  return shorten(JSON.stringify(value) ?? 'missing', 80);
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 3)}…` : text;
}
