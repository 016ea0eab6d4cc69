import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../errors.ts';
import { decodeProjectManifest } from '../manifest.ts';

const HEAD = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' } };

function errorsOf(healthCheck: unknown, more: object = {}): readonly string[] {
  try {
    decodeProjectManifest({ ...HEAD, spec: { services: [{ name: 'web', image: 'web:1', healthCheck, ...more }] } });
    return [];
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error.errors.map(({ pointer, detail }) => `${pointer} ${detail}`.replace('/spec/services/0/healthCheck', ''));
  }
}

test('each kind of check is accepted', () => {
  const httpHeaders = [{ name: 'Host', value: 'shop.example' }];
  for (const check of [
    { test: ['CMD', 'true'] },
    { test: ['CMD-SHELL', 'true'], interval: '1s', startPeriod: '5s' },
    { test: ['NONE'] },
    { httpGet: { port: 80 } },
    { httpGet: { port: 443, scheme: 'HTTPS', path: '/ready?x=1', status: 204, httpHeaders }, startInterval: '500ms', retries: 1 },
    { tcpSocket: { port: 5432 }, interval: '2s', timeout: '1s' },
  ]) {
    assert.deepEqual(errorsOf(check), [], JSON.stringify(check));
  }
});

test('exactly one kind of check is asked for', () => {
  assert.deepEqual(errorsOf({ interval: '5s' }), [' must have one of test, httpGet and tcpSocket']);
  const two = { test: ['CMD', 'a'], tcpSocket: { port: 1 } };
  assert.deepEqual(errorsOf(two), [' has test and tcpSocket, which exclude each other: keep one']);
});

test('a test says what it runs', () => {
  assert.deepEqual(errorsOf({ test: ['CURL', 'x'] }), ['/test/0 must be CMD, CMD-SHELL or NONE: current value is "CURL"']);
  assert.deepEqual(errorsOf({ test: ['NONE', 'x'] }), ['/test must have nothing after NONE, which stands for no health check']);
  assert.deepEqual(errorsOf({ test: ['CMD'] }), ['/test must have a command after CMD, such as [CMD, pg_isready]']);
  assert.match(errorsOf({ test: ['CMD', 'a'], startInterval: '1s' })[0] ?? '', /^\/startInterval goes with httpGet and tcpSocket alone/u);
});

test('a check by the agent has sound parts', () => {
  for (const [check, pointer] of [
    [{ httpGet: { port: 0 } }, '/httpGet/port'],
    [{ httpGet: { port: 80, path: 'ready' } }, '/httpGet/path'],
    [{ httpGet: { port: 80, path: '/a b' } }, '/httpGet/path'],
    [{ httpGet: { port: 80, scheme: 'FTP' } }, '/httpGet/scheme'],
    [{ httpGet: { port: 80, status: 42 } }, '/httpGet/status'],
    [{ httpGet: { port: 80, headers: {} } }, '/httpGet/headers'],
    [{ httpGet: { port: 80, httpHeaders: [{ name: 'a b', value: '' }] } }, '/httpGet/httpHeaders/0/name'],
    [{ httpGet: { port: 80, httpHeaders: [{ name: 'a', value: 'x\r\ny' }] } }, '/httpGet/httpHeaders/0/value'],
    [{ httpGet: { port: 80, httpHeaders: [{ name: 'Content-Length', value: '5' }] } }, '/httpGet/httpHeaders/0/name'],
    [{ tcpSocket: { port: 80 }, interval: '50ms' }, '/interval'],
    [{ tcpSocket: { port: 80 }, timeout: '0s' }, '/timeout'],
  ] as const) {
    const errors = errorsOf(check);
    assert.equal(errors.length, 1, JSON.stringify({ check, errors }));
    assert.ok(errors[0]?.startsWith(`${pointer} `), `${JSON.stringify(check)}: ${errors[0]}`);
  }
});

test('nothing waits for the health of a service without a check', () => {
  const services = [
    { name: 'db', image: 'db:1', healthCheck: { test: ['NONE'] } },
    { name: 'web', image: 'web:1', dependsOn: [{ service: 'db', condition: 'Healthy' }] },
  ];
  assert.throws(
    () => decodeProjectManifest({ ...HEAD, spec: { services } }),
    (error: ApiError) => error.errors[0]?.pointer === '/spec/services/1/dependsOn/0/condition',
  );
});
