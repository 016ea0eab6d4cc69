import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RESOURCES } from '../../api/resource-amounts.ts';
import { formatAmount } from './usage.ts';

test('formatAmount() keeps CPU exact and shortens bytes to three figures or so', () => {
  const [cpu, memory] = RESOURCES;
  assert.deepEqual(
    [0, 250, 4000, -250].map((millis) => formatAmount(cpu, millis)),
    ['0', '250m', '4', '-250m'],
  );
  const bytes = [0, 1023, 1536, 7_885_176 * 1024, 150.4 * 2 ** 30, 2 ** 40, -(2 ** 20)];
  assert.deepEqual(
    bytes.map((amount) => formatAmount(memory, amount)),
    ['0', '1023', '1.5Ki', '7.5Gi', '150Gi', '1Ti', '-1Mi'],
  );
  assert.equal(formatAmount(memory, undefined), '-');
});
