import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '../docker/engine-error.ts';
import { RestartBackoff } from './restart-backoff.ts';

const RANDOM = { next: () => 1, uuid: () => '' };
const FAILURE = { reason: 'StartFailed', message: 'no' } as const;

test('recordFailure() waits ever longer, up to a minute, and for a registry that refuses us, minutes', () => {
  const backoff = new RestartBackoff(RANDOM);
  const waits = Array.from({ length: 8 }, () => backoff.recordFailure('a', { error: new Error('x'), failure: FAILURE }, 0).notBeforeMs);
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  const denied = { error: new EngineError('PullDenied', 'no'), failure: FAILURE };
  assert.equal(backoff.recordFailure('b', denied, 0).notBeforeMs, 60_000);
});

test('recordSuccess() lets a step be done once more at once, then ever more slowly', () => {
  const backoff = new RestartBackoff(RANDOM);
  const waits = Array.from({ length: 4 }, () => {
    backoff.recordSuccess('a', 0);
    return backoff.entries.get('a')?.notBeforeMs;
  });
  assert.deepEqual(waits, [0, 1000, 2000, 4000]);
});

test('recordSuccess() says how many failures came before and forgets what failed', () => {
  const backoff = new RestartBackoff(RANDOM);
  backoff.recordFailure('a', { error: new Error('x'), failure: FAILURE }, 0);
  assert.equal(backoff.recordSuccess('a', 0), 1);
  assert.equal(backoff.entries.get('a')?.failure, undefined);
});

test('keepOnly() forgets all but the steps that are still wanted', () => {
  const backoff = new RestartBackoff(RANDOM);
  backoff.recordSuccess('a', 0);
  backoff.recordSuccess('b', 0);
  backoff.keepOnly(new Set(['b', 'c']));
  assert.deepEqual([...backoff.entries.keys()], ['b']);
});

test('recordFailure() waits for as long as the registry is not to be asked, no longer and no shorter', () => {
  for (const retryAfterMs of [5, 3_600_000]) {
    const error = new EngineError('TooManyRequests', 'Cannot pull image', { retryAfterMs });
    const entry = new RestartBackoff({ next: () => 0.5, uuid: () => '' }).recordFailure('pullImage a', { error, failure: undefined }, 100);
    assert.equal(entry.notBeforeMs, 100 + retryAfterMs);
  }
});
