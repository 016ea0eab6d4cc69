import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toEngineFailure } from '../docker/engine-failure.ts';
import { toFailure } from './step-failure.ts';

test('toFailure() says what mends a container whose last run the engine does not let go of', () => {
  const containerId = 'ab'.repeat(32);
  const words = 'failed to start shim: mkdir /run/docker/x/moby/1: file exists: unknown';
  const error = toEngineFailure(500, words, { action: `start container "${containerId}"`, byWords: ['NoSpace', 'TaskLeftOver'] });
  const failure = toFailure({ kind: 'startContainer', service: 'web', containerId }, error);
  assert.equal(failure?.reason, 'StartFailed');
  assert.match(failure.message, /^Cannot start container "abababababab": failed to start shim: mkdir .*: file exists: unknown; it holds/u);
  assert.match(failure.message, /restart the engine on the node, or have the container made anew: docker rm -f abababababab$/u);
});
