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
