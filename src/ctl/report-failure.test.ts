import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../api/errors.ts';
import type { OutputFormat } from './command.ts';
import { CtlError, UsageError } from './ctl-error.ts';
import { reportFailure } from './report-failure.ts';

function report(
  error: unknown,
  options: { readonly output?: OutputFormat; readonly debug?: string } = {},
): readonly [code: number, said: string] {
  let said = '';
  const stderr = { write: (text: string) => void (said += text), isTerminal: false, columns: 80, rows: 24, hasColor: false };
  const code = reportFailure(error, { stderr, output: options.output, env: { CARA_DEBUG: options.debug } });
  return [code, said];
}

test('reportFailure() says a failure in one line, its details below, then the hint', () => {
  const error = new CtlError('Cannot do it', { details: ['x.yaml:1:2: a', 'x.yaml:3:4: b'], hint: 'caractrl help' });
  assert.deepEqual(report(error), [1, 'error: Cannot do it\nx.yaml:1:2: a\nx.yaml:3:4: b\nhint: caractrl help\n']);
  assert.deepEqual(report(new UsageError('Typed wrongly')), [2, 'error: Typed wrongly\n']);
});

test('reportFailure() prints the wire error of the API with --output json, and words otherwise', () => {
  const error = new ApiError('Conflict', 'Cannot change node "a"');
  assert.deepEqual(report(error), [1, 'error: Cannot change node "a"\n']);
  assert.deepEqual(JSON.parse(report(error, { output: 'json' })[1]), {
    type: 'urn:caravanserai:problem:Conflict',
    title: 'Conflict',
    status: 409,
    detail: 'Cannot change node "a"',
    reason: 'Conflict',
  });
});

test('reportFailure() hints at another server only where none was reached', () => {
  assert.match(
    report(new ApiError('Unavailable', 'Cannot reach it', { cause: new Error('x') }))[1],
    /\nhint: start cara-server there, or name another/u,
  );
  const cause = new TypeError('fetch failed', { cause: Object.assign(new Error('wrong version number'), { code: 'EPROTO' }) });
  assert.equal(report(new ApiError('Unavailable', 'It does not speak TLS', { cause }))[1], 'error: It does not speak TLS\n');
  assert.equal(report(new ApiError('Unavailable', 'The store does not answer'))[1], 'error: The store does not answer\n');
});

test('reportFailure() owns up to a bug without a trace, which CARA_DEBUG=1 brings', () => {
  const bug = new TypeError('undefined is not a function', { cause: new Error('deeper') });
  const [code, said] = report(bug);
  assert.equal(code, 1);
  assert.equal(
    said,
    'error: caractrl hit a bug: TypeError: undefined is not a function\nhint: set CARA_DEBUG=1 and run it again to get the trace for a report\n',
  );
  assert.match(report(bug, { debug: '1' })[1], /\n {4}at .*\ncaused by Error: deeper\n/su);
});

test('reportFailure() lets no text steer the terminal', () => {
  assert.equal(report(new CtlError('a\u001B[2Jb\rc'))[1], 'error: a\\x1b[2Jb\\x0dc\n');
});
