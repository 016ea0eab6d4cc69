import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { parseYaml } from './yaml-document.ts';

function errorsOf(text: string): readonly string[] {
  return parseYaml(text).flatMap(({ errors }) => errors.map(({ line, column, detail }) => `${line}:${column} ${detail}`));
}

test('parseYaml() reads several documents and leaves out empty ones', () => {
  const documents = parseYaml('# first\n---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n');
  assert.deepEqual(
    documents.map(({ value, place }) => [value, place.line]),
    [
      [{ a: 1 }, 3],
      [{ b: 2 }, 8],
    ],
  );
  assert.deepEqual(parseYaml(''), []);
});

test('parseYaml() reads JSON, with tabs and all', () => {
  assert.deepEqual(parseYaml('{\n\t"a": [\n\t\ttrue\n\t]\n}\n')[0]?.value, { a: [true] });
});

test('parseYaml() keeps times as text and knows no yes and no', () => {
  assert.deepEqual(parseYaml('expireAt: 2027-01-01T00:00:00Z\nx: no\n')[0]?.value, { expireAt: '2027-01-01T00:00:00Z', x: 'no' });
});

test('parseYaml() expands anchors and merge keys', () => {
  const text = 'base: &base { image: a, name: x }\nweb: { <<: *base, name: web }\nother: *base\n';
  assert.deepEqual(parseYaml(text)[0]?.value, {
    base: { image: 'a', name: 'x' },
    web: { image: 'a', name: 'web' },
    other: { image: 'a', name: 'x' },
  });
});

test('parseYaml() names line and column of what is wrong', () => {
  const cases = [
    ['a:\n\tb: 1\n', '2:1 a tab indents this line: YAML wants spaces'],
    ['a: 1\nb: 2\na: 3\n', '3:1 the document gives "a" a second time: the first is on line 1'],
    ['m:\n  n: { x: 1, x: 2 }\n', '2:14 /m/n gives "x" a second time: the first is on line 2'],
    ['8080: a\n', '1:1 the document has the key 8080, which is no text: quote it'],
    ['a: "x\nb: 1\n', '3:1 is no YAML: missing closing "quote'],
    ['a: !foo b\n', '1:9 /a has the tag !foo, which manifests do not know: leave it out'],
    ['a: *nope\n', '1:4 /a uses *nope, but no &nope comes before it'],
    ['a: &a [*a]\n', '1:8 /a/0 uses *a inside of &a itself'],
  ] as const;
  for (const [text, expected] of cases) {
    assert.equal(errorsOf(text)[0], expected);
  }
});

test('parseYaml() refuses a YAML bomb and endless nesting instead of growing', () => {
  let bomb = 'a: &a [x, x, x, x, x, x, x, x, x]\n';
  for (const [index, name] of 'bcdefghi'.split('').entries()) {
    bomb += `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[index]}`).join(', ')}]\n`;
  }
  assert.match(errorsOf(bomb)[0] ?? '', /uses anchors too often/u);
  assert.match(errorsOf('['.repeat(50_000))[0] ?? '', /nested too deeply/u);
});

test('parseYaml() looks up each key once: 40,000 in one map are no trouble', () => {
  const text = Array.from({ length: 40_000 }, (_, index) => `k${index}: v`).join('\n');
  assert.equal(errorsOf(`${text}\nk0: w\n`).length, 1); // comparing each with each would take minutes
});

test('locate() finds a value, the key of a map, and of a missing field what should have it', () => {
  const [document] = parseYaml('# c\nspec:\n  services:\n    - name: web\n      ports:\n        - { hostPort: 70000 }\n');
  assert.deepEqual(document?.locate('/spec/services/0/ports/0/hostPort'), { line: 6, column: 23 });
  assert.deepEqual(document?.locate('/spec/services/0/image'), { line: 4, column: 7 });
  assert.deepEqual(document?.locate('/spec/services'), { line: 3, column: 3 });
  assert.deepEqual(document?.locate('/kind'), { line: 2, column: 1 });
  assert.deepEqual(document?.locate(''), { line: 2, column: 1 });
});

test('parseYaml() reads back whatever was written as YAML or JSON', () => {
  const key = fc.string().filter((name) => name !== '__proto__' && name !== '<<');
  const { document } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value')),
      tie('document'),
    ),
    document: fc.dictionary(key, tie('value'), { noNullPrototype: true }),
  }));
  fc.assert(
    fc.property(document, fc.boolean(), (value, isJson) => {
      const [read] = parseYaml(isJson ? JSON.stringify(value) : stringify(value));
      assert.deepEqual(read?.errors, []);
      assert.deepEqual(read?.value, value);
    }),
    { numRuns: 200 },
  );
});

test('parseYaml() answers any text at all, with places inside of it', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab:-#&*!|>%@`"\'{}[],? \n\t~<'.split('')) }), (text) => {
      const lines = text.split('\n').length;
      for (const { errors } of parseYaml(text)) {
        assert.ok(errors.every(({ line, column }) => line >= 1 && line <= lines + 1 && column >= 1));
      }
    }),
    { numRuns: 2000 },
  );
});
