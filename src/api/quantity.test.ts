import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatMillis, isQuantity, quantityToMillis, quantityToUnits } from './quantity.ts';

test('quantityToMillis() reads Kubernetes’ grammar', () => {
  for (const [text, millis] of [
    ['2', 2000],
    ['0.5', 500],
    ['.5', 500],
    ['2.', 2000],
    ['250m', 250],
    ['1e3', 1_000_000],
    ['1E-1', 100],
    ['2000000u', 2000],
    ['1', 1000],
    [1.5, 1500],
  ] as const) {
    assert.equal(quantityToMillis(text), millis, String(text));
  }
});

test('quantityToUnits() reads binary and decimal suffixes exactly', () => {
  for (const [text, bytes] of [
    ['1Ki', 1024],
    ['4Gi', 4 * 2 ** 30],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['1k', 1000],
    ['3G', 3e9],
    ['1Ei', 2 ** 60],
    ['1E', 1e18],
    ['2E3', 2000],
  ] as const) {
    assert.equal(quantityToUnits(text), bytes, text);
  }
});

test('quantityToUnits() rounds a fraction up, as Kubernetes does', () => {
  assert.equal(quantityToUnits('100m'), 1);
  assert.equal(quantityToUnits('1n'), 1);
  assert.equal(quantityToMillis('0.0001'), 1);
});

test('quantityToUnits() reads every number that JSON can have, down to the least', () => {
  assert.deepEqual([5e-324, 1e-320, 1e-7, 0, 1.5, 1e18, 1e21].map(quantityToUnits), [1, 1, 1, 0, 2, 1e18, 1e21]);
  assert.equal(quantityToUnits(1e308), 1e308);
  for (const value of [-1, NaN, Infinity, -Infinity]) {
    assert.throws(() => quantityToUnits(value), RangeError, String(value));
  }
});

test('isQuantity() refuses what is none', () => {
  for (const text of ['', '4gb', '4GB', 'Gi', '-1', '1 Gi', '1e', '1e333', 'NaN', '0x10', '1_000', '١']) {
    assert.equal(isQuantity(text), false, text);
    assert.throws(() => quantityToUnits(text), RangeError, text);
  }
});

test('formatBytes() and formatMillis() write what reads back as the same amount', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 40 }), (mantissa, shift) => {
      const bytes = Math.min(Number.MAX_SAFE_INTEGER, mantissa * 2 ** Math.min(shift, 20));
      assert.equal(quantityToUnits(formatBytes(bytes)), bytes);
      assert.equal(quantityToMillis(formatMillis(mantissa)), mantissa);
    }),
  );
});

test('plain quantities are read as all others are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom('', 'm', 'Ki', 'Mi', 'Gi'), (amount, suffix) => {
      const plain = `${amount}${suffix}`;
      const dotted = `${amount}.${suffix}`; // the same, by the long way
      assert.equal(quantityToMillis(plain), quantityToMillis(dotted));
      assert.equal(quantityToUnits(plain), quantityToUnits(dotted));
    }),
  );
});
