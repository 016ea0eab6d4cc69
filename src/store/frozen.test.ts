import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deepFreeze, frozenCopyOf } from './frozen.ts';

const throughJson = (value: object): unknown => JSON.parse(JSON.stringify(value));

/** Any object, some parts of it frozen. */
const value = fc.object({
  withDate: true,
  withNullPrototype: true,
  withSparseArray: true,
  values: [fc.anything(), fc.constant(-0), fc.constant(undefined)],
});

function isFrozen(part: unknown): boolean {
  return typeof part !== 'object' || part === null || (Object.isFrozen(part) && Object.values(part).every(isFrozen));
}

test('frozenCopyOf() gives what a trip through JSON gives, frozen to the last leaf, and leaves its argument alone', () => {
  fc.assert(
    fc.property(value, (draft) => {
      const copy = frozenCopyOf(draft);
      assert.deepEqual(copy, throughJson(draft));
      assert.ok(isFrozen(copy));
      assert.equal(Object.isFrozen(draft), false);
    }),
  );
});

test('frozenCopyOf() shares what is frozen already, and nothing that is frozen on the surface alone', () => {
  const labels = deepFreeze({ zone: 'ed312' });
  const shallow = Object.freeze({ list: [1, 2] });
  const copy = frozenCopyOf({ labels, shallow, empty: Object.freeze({ gone: undefined }) });
  assert.equal(copy.labels, labels);
  assert.notEqual(copy.shallow, shallow);
  shallow.list.push(3);
  assert.deepEqual(copy, { labels: { zone: 'ed312' }, shallow: { list: [1, 2] }, empty: {} });
  assert.equal(frozenCopyOf(copy), copy);
});

test('frozenCopyOf() keeps a field called __proto__ a field', () => {
  const copy = frozenCopyOf(JSON.parse('{"__proto__":{"a":1}}') as object);
  assert.equal(JSON.stringify(copy), '{"__proto__":{"a":1}}');
  assert.equal((copy as { readonly a?: number }).a, undefined);
});

test('frozenCopyOf() refuses what JSON cannot hold', () => {
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  assert.throws(() => frozenCopyOf(loop), TypeError);
  assert.throws(() => frozenCopyOf({ big: 1n }), TypeError);
});
