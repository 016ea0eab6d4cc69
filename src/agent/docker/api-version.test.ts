import assert from 'node:assert/strict';
import test from 'node:test';
import { chooseApiVersion } from './api-version.ts';

const offer = (apiVersion: string, minApiVersion = ''): string => chooseApiVersion({ apiVersion, minApiVersion, engineVersion: '1' });

test('chooseApiVersion() takes the oldest version that both sides know', () => {
  assert.equal(offer('1.41', '1.12'), '1.41');
  assert.equal(offer('1.47', '1.24'), '1.41');
  assert.equal(offer('1.52', '1.44'), '1.44');
  assert.equal(offer('1.100'), '1.41');
  assert.equal(offer('2.0', '2.0'), '2.0');
});

test('chooseApiVersion() refuses an engine that is too old, and says which and what is needed', () => {
  assert.throws(() => chooseApiVersion({ apiVersion: '1.40', minApiVersion: '1.12', engineVersion: '19.03.15' }), {
    reason: 'EngineTooOld',
    message: 'Cannot use the container engine as it must speak API 1.41 or newer (Docker 20.10): this is version 19.03.15 with API 1.40',
  });
  for (const apiVersion of ['1.9', '', 'x']) {
    assert.throws(() => offer(apiVersion), { reason: 'EngineTooOld' });
  }
});
