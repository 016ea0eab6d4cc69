/** JSON bodies: parsed, or refused with the place of the mistake. Pure. */
import { ApiError } from '../../api/errors.ts';

/** Deeper than any document of ours; a hundred times shallower than what would overflow a stack somewhere. */
const MAX_DEPTH = 100;

export interface JsonBodyOptions {
  /** the body may hold values that no message must repeat a part of; default false */
  readonly isSecret?: boolean;
}

/** The JSON value of `text`; undefined for an empty body. @throws {ApiError} Invalid with line, column and position */
export function parseJsonBody(text: string, { isSecret = false }: JsonBodyOptions = {}): unknown {
  if (text === '') {
    return undefined;
  }
  if (text.length > MAX_DEPTH && depthOf(text) > MAX_DEPTH) {
    throw refusal(`it is nested deeper than ${MAX_DEPTH} levels`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw isSecret ? refusal(describeJsonError(text, 'what stands there')) : refusal(describeJsonError(text), error);
  }
}

function refusal(why: string, cause?: unknown): ApiError {
  const errors = [{ pointer: '', detail: why }];
  return new ApiError('Invalid', `Cannot read the body as ${why}`, { errors, cause });
}

/** How deep lists and maps are nested, those inside of strings not counted. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === '"') {
      index = endOfString(text, index) - 1;
    } else if (character === '{' || character === '[') {
      depth += 1;
      deepest = Math.max(deepest, depth);
    } else if (character === '}' || character === ']') {
      depth -= 1;
    }
  }
  return deepest;
}

/** The words for text that JSON.parse refuses. V8's own message has no position for the most common mistakes. */
function describeJsonError(text: string, standIn?: string): string {
  const position = findJsonError(text);
  const before = text.slice(0, position).split('\n');
  const shown = standIn ?? JSON.stringify(text.slice(position, position + 12));
  const found = position >= text.length ? 'it ends too early' : `${shown} is unexpected`;
  return `it is no JSON: ${found} at line ${before.length} column ${(before.at(-1) ?? '').length + 1} (position ${position})`;
}

const SPACE = /[ \t\r\n]*/uy;
const SCALAR = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.A-Za-z])|(?:true|false|null)(?![0-9A-Za-z])/uy;

type Expected = 'value' | 'firstValue' | 'key' | 'firstKey' | 'colon' | 'next';

/** Where the first token stands that JSON's grammar does not allow; the length of `text` when it ends too early. Source: RFC 8259 */
export function findJsonError(text: string): number {
  const open: string[] = [];
  let expected: Expected | 'end' = 'value';
  let position = skip(SPACE, text, 0);
  while (position < text.length) {
    const character = text[position] ?? '';
    const isKey = expected === 'key' || expected === 'firstKey';
    const isValue = expected === 'value' || expected === 'firstValue';
    let end = position + 1;
    if (isKey && character === '"') {
      end = endOfString(text, position);
      expected = 'colon';
    } else if (expected === 'colon' && character === ':') {
      expected = 'value';
    } else if (expected === 'next' && character === ',') {
      expected = open.at(-1) === '{' ? 'key' : 'value';
    } else if (isValue && (character === '{' || character === '[')) {
      open.push(character);
      expected = character === '{' ? 'firstKey' : 'firstValue';
    } else if (closes(open.at(-1), character) && (expected === 'next' || expected === 'firstKey' || expected === 'firstValue')) {
      open.pop();
      expected = open.length === 0 ? 'end' : 'next';
    } else {
      end = isValue ? endOfScalar(text, position) : position;
      expected = open.length === 0 ? 'end' : 'next';
    }
    if (end === position) {
      return position;
    }
    position = skip(SPACE, text, end);
  }
  return text.length;
}

function closes(opening: string | undefined, character: string): boolean {
  return (opening === '{' && character === '}') || (opening === '[' && character === ']');
}

/** @returns `position` itself when no string, number or word stands there */
function endOfScalar(text: string, position: number): number {
  return text[position] === '"' ? endOfString(text, position) : skip(SCALAR, text, position);
}

/** After the closing quote of the string that begins at `position`; `position` when it holds what no string may; the end when it is never closed. */
function endOfString(text: string, position: number): number {
  for (let index = position + 1; index < text.length; index += 1) {
    const character = text[index] ?? '';
    if (character === '"') {
      return index + 1;
    }
    if (character === '\\') {
      index += 1;
    } else if (character < ' ') {
      return index;
    }
  }
  return text.length;
}

function skip(pattern: RegExp, text: string, position: number): number {
  pattern.lastIndex = position;
  return pattern.test(text) ? pattern.lastIndex : position;
}
