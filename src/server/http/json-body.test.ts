import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasReason } from '../../api/errors.ts';
import { findJsonError, parseJsonBody } from './json-body.ts';

test('parseJsonBody() names line, column and position of the mistake', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['abc', /"abc" is unexpected at line 1 column 1 \(position 0\)/u],
    ['{"a": 1,\n "b": }', /"\}" is unexpected at line 2 column 7 \(position 15\)/u],
    ['{"a": 1', /ends too early at line 1 column 8 \(position 7\)/u],
    ['{"a": "x', /ends too early/u],
    ['{"a": 1} x', /"x" is unexpected at line 1 column 10/u],
    ['{a: 1}', /"a: 1\}" is unexpected at line 1 column 2/u],
    ['[1, 2,]', /"\]" is unexpected/u],
    ["{'a': 1}", /is unexpected at line 1 column 2/u],
    ['01', /"01" is unexpected/u],
  ];
  for (const [text, words] of refused) {
    assert.throws(
      () => parseJsonBody(text),
      (error) => hasReason(error, 'Invalid') && words.test(error.message),
      text,
    );
  }
});

test('parseJsonBody() refuses what is nested too deeply, and only that', () => {
  assert.throws(() => parseJsonBody('['.repeat(500_000)), /nested deeper than 100 levels/u);
  assert.throws(() => parseJsonBody(`${'{"a":'.repeat(101)}1${'}'.repeat(101)}`), /nested deeper/u);
  assert.deepEqual(parseJsonBody(`["${'['.repeat(500)}", "\\"${'{'.repeat(500)}"]`), ['['.repeat(500), `"${'{'.repeat(500)}`]);
  assert.equal(parseJsonBody(''), undefined);
});

test('parseJsonBody() keeps "__proto__" an ordinary field', () => {
  const body = parseJsonBody('{"__proto__": {"polluted": true}}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(body), ['__proto__']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('findJsonError() finds no mistake in any JSON, and stays within any other text', () => {
  fc.assert(fc.property(fc.json(), (text) => assert.equal(findJsonError(text), text.length)));
  fc.assert(
    fc.property(fc.string(), (text) => {
      const position = findJsonError(text);
      assert.ok(position >= 0 && position <= text.length);
    }),
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), fc.nat(), (text, cut) => {
      const part = text.slice(0, cut % (text.length + 1));
      assert.match(part.slice(findJsonError(part)), /^[-+.0-9A-Za-z]*$/u); // at most the word or number that was cut through
    }),
  );
});
