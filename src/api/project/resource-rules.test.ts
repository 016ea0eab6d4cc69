import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkResources } from './resource-rules.ts';

function saidOf(resources: object): readonly (readonly [string, string])[] {
  return checkResources({ resources }, '').map(({ pointer, detail }) => [pointer.replace('/resources/', ''), detail]);
}

test('checkResources() refuses fractions of a byte, which is what "512m" of Compose is', () => {
  assert.deepEqual(saidOf({ requests: { memory: '256m' }, limits: { memory: '512m', disk: '5m' } }), [
    ['requests/memory', 'is a fraction of a byte, as m means thousandths: is 256Mi meant? Current value is "256m"'],
    ['limits/memory', 'is a fraction of a byte, as m means thousandths: is 512Mi meant? Current value is "512m"'],
    ['limits/disk', 'is a fraction of a byte, as m means thousandths: is 5Mi meant? Current value is "5m"'],
  ]);
});

test('checkResources() refuses limits that no engine takes, and leaves 0 as no limit', () => {
  const [[pointer, detail] = assert.fail()] = saidOf({ limits: { memory: 512 } });
  assert.equal(pointer, 'limits/memory');
  assert.match(detail, /^must be at least 6Mi, .*: current value is 512$/u);
  assert.match(saidOf({ limits: { cpu: '5m' } })[0]?.[1] ?? '', /^must be at least 10m, /u);
  assert.deepEqual(saidOf({ limits: { memory: 0, cpu: '0' } }), []);
  assert.deepEqual(saidOf({ requests: { cpu: '1m', memory: 1 }, limits: { cpu: '10m', memory: '6Mi' } }), []);
});

test('checkResources() refuses requests beyond their limits', () => {
  assert.deepEqual(saidOf({ requests: { memory: '1Gi' }, limits: { memory: '512Mi' } }), [
    ['requests/memory', 'must not be more than the limit: 1Gi asked, limit 512Mi'],
  ]);
});
