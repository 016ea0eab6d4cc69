import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildError, builtId } from './image.ts';

const LINES = [
  '{"stream":"Step 1/2 : FROM scratch"}',
  '{"aux":{"ID":"sha256:aa"}}',
  '{"aux":{"ID":"sha256:bb"}}',
  '{"stream":"Successfully built bb"}',
  '',
];

test('builtId() gives the last id of the stream', () => {
  assert.equal(builtId(LINES.join('\r\n')), 'sha256:bb');
});

test('builtId() gives none and buildError() the cause when the build failed after an intermediate id', () => {
  const failed = [...LINES.slice(0, 2), '{"errorDetail":{"message":"COPY failed"},"error":"COPY failed"}'].join('\n');
  assert.equal(builtId(failed), undefined);
  assert.equal(buildError(failed), 'COPY failed');
});

test('buildError() reads the message of a refused request', () => {
  assert.equal(buildError('{"message":"dockerfile parse error"}\n'), 'dockerfile parse error');
});
