/**
 * docs/seed-promises.md, made of test/seed/promises.ts, and what holds that file against the documents and the tests.
 *
 * Callers  generate.ts writes the page; seed-promises.test.ts looks for what is missing.
 */
import type { Piece, Section, SeedDocument } from '../../test/seed/promises.ts';

/** White space, the marks of tables and lists: what a document has between its sentences. */
const BETWEEN = /(?:[\s|•]|---)*/uy;

/** The page. */
export function renderPromises(documents: readonly SeedDocument[]): string {
  return `# Every sentence about Nodes, and the test that keeps it true

Two documents were there before the code: a guide to Nodes and a reference of the Node resource (\`test/seed/*.txt\`). Each of their sentences
and table rows is a promise. Each has a test of the very same words, run against the real programs and a real engine:

    npm test -- seed                                         # all of them
    npm test -- seed guide-draining                          # one file
    npm test -- seed --test-name-pattern='To drain a node'

This page is made of \`test/seed/promises.ts\` by \`npm run generate\`; a unit test finds sentences that are missing there, and promises without a
test. What is in brackets promises nothing by itself.
${documents.map(renderDocument).join('')}`;
}

function renderDocument({ title, sections }: SeedDocument): string {
  return `\n## ${title}\n${sections.map(renderSection).join('')}`;
}

function renderSection({ title, file, pieces }: Section): string {
  const path = `test/seed/${file}.test.ts`;
  const rows = pieces.map((piece) => {
    return piece.kind === 'aside' ? `| (${escape(piece.name)}) | ${piece.why ?? ''} |` : `| ${show(piece)} | [\`${path}\`](../${path}) |`;
  });
  return `\n### ${title}\n\n| sentence, and name of its test | test |\n|---|---|\n${rows.join('\n')}\n`;
}

function show({ kind, name }: Piece): string {
  return kind === 'code' ? `\`${escape(name)}\`` : escape(name);
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|');
}

/**
 * Reads `text` along the pieces of its document, in order.
 * @returns the first words that the pieces leave out or have otherwise; undefined when they are the document, word by word
 */
export function findDeviation(text: string, { sections }: SeedDocument): string | undefined {
  const cells = sections.flatMap(({ pieces }) => pieces.flatMap((piece) => piece.cells.map((cell) => toPattern(piece, cell))));
  let at = skip(BETWEEN, text, 0);
  for (const pattern of cells) {
    const end = skip(pattern, text, at);
    if (end === at) {
      return text.slice(at, at + 60);
    }
    at = skip(BETWEEN, text, end);
  }
  return at === text.length ? undefined : text.slice(at, at + 60);
}

/** Code as it stands, prose however its lines are broken. */
function toPattern({ kind }: Piece, cell: string): RegExp {
  const words = kind === 'code' ? [cell.trimEnd()] : cell.split(' ');
  return new RegExp(words.map((word) => RegExp.escape(word)).join('\\s+'), 'uy');
}

function skip(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}

/** The words of all `sentence('…')` in a test file. */
export function listTested(source: string): ReadonlySet<string> {
  const calls = source.matchAll(/\bsentence\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([A-Z_]+))/gu);
  return new Set(Array.from(calls, ([, single, double, constant]) => (single ?? double ?? constant ?? '').replaceAll(/\\(.)/gu, '$1')));
}
