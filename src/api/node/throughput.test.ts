import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatBitRate } from './throughput.ts';

const FACTOR: Readonly<Record<string, number>> = { 'bit/s': 1, 'kbit/s': 1e3, 'Mbit/s': 1e6, 'Gbit/s': 1e9, 'Tbit/s': 1e12 };

describe('formatBitRate()', () => {
  for (const [bitsPerSecond, text] of [
    [0, '0 bit/s'],
    [999, '999 bit/s'],
    [999.4, '999 bit/s'],
    [999.6, '1.00 kbit/s'],
    [512_000, '512 kbit/s'],
    [94_210_000, '94.2 Mbit/s'],
    [999_499_999, '999 Mbit/s'],
    [999_500_000, '1.00 Gbit/s'],
    [1_023_000_000, '1.02 Gbit/s'],
    [5e30, '999 Tbit/s'],
  ] as const) {
    test(`formatBitRate() writes ${bitsPerSecond} as ${text}`, () => assert.equal(formatBitRate(bitsPerSecond), text));
  }

  test('formatBitRate() is within half a percent, or half a bit, of any speed', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 999e12, noNaN: true }), (bitsPerSecond) => {
        const [, amount, unit] = /^([0-9]{1,3}(?:\.[0-9]{1,2})?) ([kMGT]?bit\/s)$/u.exec(formatBitRate(bitsPerSecond)) ?? [];
        const written = Number(amount) * (FACTOR[unit ?? ''] ?? NaN);
        assert.ok(Math.abs(written - bitsPerSecond) <= Math.max(0.5, bitsPerSecond * 0.005 + 1e-6));
      }),
    );
  });
});
