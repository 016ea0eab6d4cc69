import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSelector, requirementsOf, selects } from './selector.ts';

const LABELS = { zone: 'ed312', 'caravanserai.io/region': 'north', gpu: '' };

test('selects() follows Kubernetes’ meanings', () => {
  for (const [selector, expected] of [
    ['', true],
    ['zone=ed312', true],
    ['zone==ed312', true],
    ['zone=x', false],
    ['zone!=x', true],
    ['absent!=x', true],
    ['absent=x', false],
    ['zone in (a, ed312)', true],
    ['zone notin (a,ed312)', false],
    ['absent notin (a)', true],
    ['absent in (a)', false],
    ['gpu', true],
    ['!gpu', false],
    ['!absent', true],
    ['gpu=', true],
    ['zone=ed312,caravanserai.io/region in (north,south),!spot', true],
    ['zone=ed312,spot', false],
    ['constructor', false],
  ] as const) {
    assert.equal(selects(parseSelector(selector), LABELS), expected, selector);
  }
});

test('parseSelector() refuses a malformed part and names it', () => {
  for (const selector of ['=x', 'a=b=c', 'a in b', 'a in (b', 'a,,b', 'a=!!', 'a b', '!', 'a in ()x', ',']) {
    assert.throws(() => parseSelector(selector), /Cannot read label selector/u, selector);
  }
});

test('parseSelector() answers any text with a selector or an Invalid error, quickly', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '=', '!', ',', '(', ')', ' ', 'in', 'notin', '-') }), (text) => {
      try {
        parseSelector(text);
      } catch (error) {
        assert.match(String(error), /Cannot read label selector/u);
      }
    }),
  );
});

test('requirementsOf() selects exactly the labels that hold every pair', () => {
  assert.equal(selects(requirementsOf({ zone: 'ed312' }), LABELS), true);
  assert.equal(selects(requirementsOf({ zone: 'ed312', gpu: 'yes' }), LABELS), false);
});
