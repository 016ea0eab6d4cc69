import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { DOCUMENTS, DRAIN_YAML, NODE_YAML, onOneLine, START_AGENT } from '../../test/seed/promises.ts';
import { findDeviation, listTested, renderPromises } from './seed-promises.ts';

const ROOT = path.join(import.meta.dirname, '../..');
/** as tests quote them */
const CONSTANTS = { DRAIN_YAML, NODE_YAML, START_AGENT };

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

test('promises.ts has both documents word by word, and nothing else', () => {
  for (const document of DOCUMENTS) {
    assert.equal(findDeviation(read(`test/seed/${document.text}`), document), undefined, document.title);
  }
});

test('findDeviation() finds a sentence that is left out, changed or added', () => {
  const [document] = DOCUMENTS;
  assert.ok(document);
  const text = read(`test/seed/${document.text}`);
  assert.match(findDeviation(`${text}\nMore.`, document) ?? '', /^More\.$/u);
  assert.match(findDeviation(text.replace('30s', '31s'), document) ?? '', /^cara-agent sends a heartbeat/u);
  assert.match(findDeviation(text.replace('  name: worker-01', ' name: worker-01'), document) ?? '', /^apiVersion: /u);
  assert.match(findDeviation(text.replace('List all nodes in the cluster:', ''), document) ?? '', /^caractrl get nodes/u);
});

test('every promise has a test of its words, in the file of its section', () => {
  const missing = DOCUMENTS.flatMap(({ sections }) =>
    sections.flatMap(({ file, pieces }) => {
      const source = `test/seed/${file}.test.ts`;
      const tested = new Set(existsSync(path.join(ROOT, source)) ? [...listTested(read(source))].map(toName) : []);
      return pieces.filter(({ kind, name }) => kind !== 'aside' && !tested.has(name)).map(({ name }) => `${source}: ${name}`);
    }),
  );
  assert.deepEqual(missing, []);
});

test('no two promises of a file have the same name, so that each needs its own test', () => {
  const names = DOCUMENTS.flatMap(({ sections }) =>
    sections.flatMap(({ file, pieces }) => pieces.filter(({ kind }) => kind !== 'aside').map(({ name }) => `${file}: ${name}`)),
  );
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

test('what is no promise says why', () => {
  const silent = DOCUMENTS.flatMap(({ sections }) => sections.flatMap(({ pieces }) => pieces)).filter(
    ({ kind, why }) => (kind === 'aside') !== (why !== undefined),
  );
  assert.deepEqual(silent, []);
});

test('docs/seed-promises.md is fresh', () => {
  assert.equal(read('docs/seed-promises.md'), renderPromises(DOCUMENTS), 'npm run generate mends it');
});

function toName(words: string): string {
  return onOneLine(Object.hasOwn(CONSTANTS, words) ? CONSTANTS[words as keyof typeof CONSTANTS] : words);
}
