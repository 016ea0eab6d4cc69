/**
 * No pattern of ours can be made to think for long: each regular expression of src, and each pattern of a grammar, on long texts that are
 * made to almost match it. What is measured is this process's own time (a busy machine does not count), and how it grows with the length:
 * sixteen times the text may take sixteen times as long, not its square.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '../..');
const SHORT = 4_000;
const LONG = 16 * SHORT;
/** microseconds; what is below it is no trouble, however it grows */
const HARMLESS = 20_000;
const MOST_GROWTH = 80;

/** Where a text comes from this machine alone, or is short for other reasons: pattern -> why. */
const EXCUSED: Readonly<Record<string, string>> = {};

interface Pattern {
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

/** A literal after what cannot end an expression. */
const LITERAL = /(?<=[(,=:[!&|?{};\n]\s{0,20}|\breturn\s)\/(?![*/])((?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)/gu;
const GRAMMAR = /\bpattern: '((?:[^'\\\n]|\\.)+)'/gu;

function listPatterns(): readonly Pattern[] {
  const files = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
  );
  return files.flatMap((name) => {
    const text = readFileSync(path.join(ROOT, 'src', name), 'utf8');
    const where = (index: number): string => `src/${name}:${text.slice(0, index).split('\n').length}`;
    const literals = [...text.matchAll(LITERAL)].map(({ index, 1: source = '', 2: flags = '' }) => ({
      where: where(index),
      source,
      flags,
    }));
    const grammars = [...text.matchAll(GRAMMAR)].map(({ index, 1: source = '' }) => ({
      where: where(index),
      source: source.replaceAll('\\\\', '\\'),
      flags: 'u',
    }));
    return [...literals, ...grammars].filter(isPattern);
  });
}

function isPattern({ source, flags }: Pattern): boolean {
  try {
    new RegExp(source, flags);
    return true;
  } catch {
    return false; // a division, or a part of a string
  }
}

const LETTERS = [
  'a',
  'A',
  '0',
  ' ',
  '-',
  '.',
  '_',
  '/',
  ':',
  ',',
  '"',
  '\\',
  '(',
  '{',
  '[',
  '<',
  '=',
  '!',
  '@',
  '\n',
  '\t',
  '+',
  '%',
  'é',
  "'",
  '&',
  '*',
];

/** Texts of that length that a backtracking matcher would try long with. */
function makeTexts(source: string, length: number): readonly string[] {
  const fitting = LETTERS.filter((letter) => mayStandIn(source, letter));
  const start = /^\^?((?:[\w /:"<=-](?![*+?{]))*)/u.exec(source)?.[1] ?? '';
  const units = [...fitting, ...fitting.slice(0, 6).flatMap((one) => fitting.slice(0, 6).map((other) => `${one}${other}`))];
  return units.flatMap((unit) => {
    const body = unit.repeat(Math.ceil(length / unit.length));
    return [`${start}${body}\0`, `${body}${start}\0`];
  });
}

function mayStandIn(source: string, letter: string): boolean {
  return source.includes(letter) || /[\\.][wWsSdDpP]|\[\^|(?<!\\)\.|\[[^\]]*-/u.test(source);
}

/** microseconds of this process */
function measure(regex: RegExp, text: string): number {
  const before = process.cpuUsage();
  regex.lastIndex = 0;
  if (regex.global) {
    text.replaceAll(regex, '');
  } else {
    regex.test(text);
  }
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

test('every pattern of src takes time in proportion to the length of the text', () => {
  const patterns = listPatterns();
  assert.ok(patterns.length > 150, `only ${patterns.length} patterns were found`);
  const slow: string[] = [];
  for (const { where, source, flags } of patterns) {
    const regex = new RegExp(source, flags);
    const long = makeTexts(source, LONG);
    const short = makeTexts(source, SHORT);
    const worst = short.findIndex((text, index) => {
      const shortTime = measure(regex, text);
      if (shortTime > 50 * HARMLESS) {
        return true; // exponential: the long text would not end
      }
      const time = measure(regex, long[index] ?? '');
      return time > HARMLESS && time / Math.max(shortTime, HARMLESS / 64) > MOST_GROWTH;
    });
    if (worst !== -1 && EXCUSED[source] === undefined) {
      slow.push(`${where}: /${source}/${flags} on ${JSON.stringify((short[worst] ?? '').slice(0, 20))}…`);
    }
  }
  assert.deepEqual(slow, []);
});
