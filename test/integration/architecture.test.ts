/** docs/ARCHITECTURE.md is read first, and believed: what its flow tables name has to be there, and what those of docs/flows.md do. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '../..');
const DOCUMENTS = ['docs/ARCHITECTURE.md', 'docs/flows.md'];
const HOP = /^\| (?<number>\d+) \| (?<files>[^|]*) \| (?<names>[^|]*) \|/u;

interface Hop {
  /** the table's heading and the row's number */
  readonly place: string;
  /** as the table has them: below src/, or beside or near the one before */
  readonly files: readonly string[];
  /** functions, methods and fields that one of the files is to define */
  readonly names: readonly string[];
}

function readHops(): readonly Hop[] {
  const hops: Hop[] = [];
  let heading = '';
  for (const line of DOCUMENTS.flatMap((document) => readFileSync(path.join(ROOT, document), 'utf8').split('\n'))) {
    heading = line.startsWith('## ') ? line.slice(3) : heading;
    const { number, files = '', names = '' } = HOP.exec(line)?.groups ?? {};
    if (number !== undefined) {
      hops.push({ place: `${heading}, hop ${number}`, files: quoted(files).filter((file) => file.endsWith('.ts')), names: quoted(names) });
    }
  }
  return hops;
}

function quoted(cell: string): readonly string[] {
  return [...cell.matchAll(/`(?<word>[^`]+)`/gu)].map(({ groups }) => groups?.['word'] ?? '');
}

/** Each of `files` below src/: in full, or from one of the folders of the first. */
function locate(files: readonly string[]): readonly { readonly file: string; readonly found: string | undefined }[] {
  const folders = path.dirname(files[0] ?? '').split('/');
  const above = ['', ...folders.map((_, depth) => `${folders.slice(0, depth + 1).join('/')}/`)];
  return files.map((file) => ({
    file,
    found: above.map((folder) => folder + file).find((each) => existsSync(path.join(ROOT, 'src', each))),
  }));
}

function defines(text: string, name: string): boolean {
  const word = name.replace('#', '');
  const asDeclaration = new RegExp(String.raw`\b(?:function\*?|const|class) ${word}\b`, 'u');
  const asMember = new RegExp(String.raw`^\s+(?:override |readonly |async |\*)*#?${word}\b\s*[(<:?=]`, 'mu');
  return asDeclaration.test(text) || asMember.test(text);
}

test('each file that a flow of the documents names is there, and defines what the table says it does', () => {
  const hops = readHops();
  assert.ok(hops.length > 80, `only ${hops.length} hops found: is this still how the tables are written?`);
  const faults = hops.flatMap(({ place, files, names }) => {
    const located = locate(files).filter(({ file }) => !file.includes('*'));
    const text = located.map(({ found }) => (found === undefined ? '' : readFileSync(path.join(ROOT, 'src', found), 'utf8'))).join('\n');
    const isAnywhere = located.length > 0; // "store" and the like are no file
    return [
      ...located.filter(({ found }) => found === undefined).map(({ file }) => `${place}: no file ${file}`),
      ...(isAnywhere ? names.filter((name) => !defines(text, name)).map((name) => `${place}: ${files.join(', ')} define no ${name}`) : []),
    ];
  });
  assert.deepEqual(faults, []);
});

const COMMENT = /^\s*(?:\*|\/\/|\/\*\*)|\s\/\/ |\/\*\* /u;
const FILE_NAME = /(?<![\w/.'-])(?:\.\.\/)*(?<file>(?:[\w-]+\/)*[\w-]+\.ts)\b/gu;
const ELSEWHERE: ReadonlySet<string> = new Set(['src/migrate.ts']); // of graphile-worker

test('each file that a comment in src names is there', () => {
  const all = globSync('{src,test,scripts,bench}/**/*.ts', { cwd: ROOT });
  const isThere = (file: string): boolean => all.some((known) => known === file || known.endsWith(`/${file}`));
  const faults = all
    .filter((file) => file.startsWith('src/'))
    .flatMap((file) =>
      readFileSync(path.join(ROOT, file), 'utf8')
        .split('\n')
        .filter((line) => COMMENT.test(line) && !/^\s*(?:import|export)\b/u.test(line))
        .flatMap((line) => [...line.matchAll(FILE_NAME)].map(({ groups }) => groups?.['file'] ?? ''))
        .filter((named) => !ELSEWHERE.has(named) && !isThere(named))
        .map((named) => `${file} names ${named}`),
    );
  assert.deepEqual(faults, []);
});

const PAGES = ['*.md', 'docs/**/*.md', 'test/**/*.md'];
const CODE_PATH = /^(?:[\w.*{},-]+\/)*[\w.*{},-]+\.(?:ts|mjs)$|^(?:src|test|scripts|bench|docs|examples|bin)(?:\/[\w.*{},-]+)*\/?$/u;
const LINK = /\]\((?<target>[^)#\s]+)(?:#[^)\s]*)?\)/gu;

/** Every file or folder of the code that a line names in backquotes, and every page that it links to, if it is not there. */
function missingIn(page: string, line: string, all: readonly string[]): readonly string[] {
  const isThere = (named: string): boolean =>
    ['', 'src/'].some((folder) => globSync(folder + named.replace(/\/$/u, ''), { cwd: ROOT }).length > 0) ||
    all.some((known) => known.endsWith(`/${named}`));
  const files = quoted(line).filter((word) => CODE_PATH.test(word) && !ELSEWHERE.has(word) && !isThere(word));
  const links = [...line.matchAll(LINK)]
    .map(({ groups }) => groups?.['target'] ?? '')
    .filter((target) => !/^[a-z]+:/u.test(target) && !existsSync(path.join(ROOT, path.dirname(page), target)));
  return [...files, ...links];
}

test('each file of the code that a page names is there, and each page that it links to', () => {
  const all = globSync('{src,test,scripts,bench}/**/*.{ts,mjs}', { cwd: ROOT });
  const pages = PAGES.flatMap((pattern) => globSync(pattern, { cwd: ROOT }));
  assert.ok(pages.length > 20, `only ${pages.length} pages found`);
  const faults = pages.flatMap((page) =>
    readFileSync(path.join(ROOT, page), 'utf8')
      .split('\n')
      .flatMap((line, at) => missingIn(page, line, all).map((named) => `${page}:${at + 1} names ${named}`)),
  );
  assert.deepEqual(faults, []);
});
