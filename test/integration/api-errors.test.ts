import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/base/clock.ts';
import { manifestOf, MERGE, startApiOn, type Answer, type ApiServer } from '../support/worlds/api.ts';

let api: ApiServer;
before(async () => {
  api = await startApiOn({ clock: systemClock, listen: true });
});
after(() => api[Symbol.asyncDispose]());

function assertProblem(answer: Answer, status: number, reason: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
  assert.deepEqual([answer.body.status, answer.body.reason], [status, reason]);
  for (const field of ['type', 'title', 'detail']) {
    assert.equal(typeof answer.body[field], 'string');
  }
  assert.doesNotMatch(JSON.stringify(answer.body), /node_modules|\.ts:|at [A-Z]\w+\./u);
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly requestBody?: { readonly content: object } }>>>>;
}

/** Sends `text` on a bare connection and reads the answer to its end. */
async function sendRaw(text: string): Promise<string> {
  const { hostname, port } = new URL(api.server.url);
  const socket = net.connect(Number(port), hostname);
  socket.end(text);
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
  }
  return answer;
}

describe('problems', () => {
  test('what is not there is said in the same words of every kind', async () => {
    for (const [noun, method, tail] of [
      ['node', 'GET', ''],
      ['node', 'DELETE', ''],
      ['node', 'POST', '/reset-identity'],
      ['project', 'GET', ''],
      ['project', 'DELETE', ''],
      ['secret', 'GET', ''],
      ['secret', 'DELETE', ''],
      ['event', 'GET', ''],
    ] as const) {
      const answer = await api.call(method, `/${noun}s/nobody${tail}`);
      assertProblem(answer, 404, 'NotFound');
      assert.equal(answer.body.detail, `Cannot find ${noun} "nobody" as there is none of that name`, `${method} ${noun}${tail}`);
    }
  });

  test('a query where there is none to give is said to be none', async () => {
    const answer = await api.call('GET', '/nodes/nobody?force=true');
    assertProblem(answer, 400, 'Invalid');
    assert.equal(answer.body.detail, 'Cannot read the query: /force is an unknown field: there are none here');
  });

  test('an illegal name to register under is said to be the one in the path', async () => {
    const answer = await api.call('POST', '/nodes/Worker_01/register', { body: {} });
    assertProblem(answer, 400, 'Invalid');
    assert.match(
      String(answer.body.detail),
      /^Cannot register as the name in the path must be a DNS subdomain: .*: current value is "Worker_01"$/u,
    );
  });

  test('unknown paths get 404, known ones with another method 405 and Allow', async () => {
    for (const path of [
      '/api/v1',
      '/api/v1/nodes/',
      '/api/v1/nodes/a/b/c',
      '/api/v2/nodes',
      '/api/v1/Nodes',
      `/api/v1/nodes/${'a'.repeat(2000)}`,
    ]) {
      assertProblem(await api.call('GET', path), 404, 'NotFound');
    }
    const refused: readonly (readonly [string, string, string])[] = [
      ['DELETE', '/nodes', 'POST, GET, HEAD'],
      ['POST', '/nodes/a', 'GET, PUT, PATCH, DELETE, HEAD'],
      ['GET', '/nodes/a/heartbeat', 'POST'],
      ['OPTIONS', '/projects/a/status', 'PATCH'],
      ['POST', '/api/healthz', 'GET, HEAD'],
    ];
    for (const [method, path, allow] of refused) {
      const answer = await api.call(method, path);
      assertProblem(answer, 405, 'MethodNotAllowed');
      assert.equal(answer.headers.allow, allow);
    }
  });

  test('JSON that is none gets 400 with the place of the mistake', async () => {
    const answer = await api.call('POST', '/nodes', { body: '{\n  "kind": Node\n}' });
    assertProblem(answer, 400, 'Invalid');
    assert.match(answer.body.detail, /line 2 column 11 \(position 12\)/u);
    assertProblem(await api.call('POST', '/nodes', { body: '' }), 400, 'Invalid');
    assertProblem(await api.call('POST', '/nodes'), 400, 'Invalid');
    for (const body of ['null', '1', '"a"', '[]', 'true']) {
      assertProblem(await api.call('POST', '/nodes', { body }), 400, 'Invalid');
      assertProblem(await api.call('PATCH', '/projects/a', { body, type: 'application/apply-patch+json' }), 400, 'Invalid');
    }
  });

  test('every mistake of a manifest is told at once, each with its pointer', async () => {
    const body = {
      apiVersion: 'v1',
      kind: 'Project',
      metadata: { name: 'Shop', labels: { 'a b': 'c' }, extra: 1 },
      spec: { services: [{ name: 'web', image: 'a:1', ports: [{ containerPort: 70_000 }] }, { image: 'b:1' }], volums: [] },
    };
    const answer = await api.call('POST', '/projects', { body });
    assertProblem(answer, 400, 'Invalid');
    const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted();
    assert.deepEqual(pointers, [
      '/apiVersion',
      '/metadata/extra',
      '/metadata/labels/a b',
      '/metadata/name',
      '/spec/services/0/ports/0/containerPort',
      '/spec/services/1/name',
      '/spec/volums',
    ]);
  });

  test('other media types, charsets and encodings get 415', async () => {
    const body = JSON.stringify(manifestOf('Node', 'a'));
    for (const type of [
      'text/plain',
      'application/yaml',
      'application/x-www-form-urlencoded',
      'nonsense',
      'application/json; charset=latin1',
    ]) {
      assertProblem(await api.call('POST', '/nodes', { body, type }), 415, 'UnsupportedMediaType');
    }
    assertProblem(await api.call('PATCH', '/nodes/a', { body }), 415, 'UnsupportedMediaType');
    assert.equal((await api.call('POST', '/nodes', { body, type: 'application/json; charset=utf-8' })).status, 201);
  });

  test('an encoded body gets 415 from every route, which says what would do', async () => {
    const paths = Object.entries((await api.server.app.inject('/openapi.json')).json<OpenApi>().paths);
    const routes = paths.flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { requestBody }]) => ({ path, method, requestBody })),
    );
    assert.ok(routes.length > 40, String(routes.length));
    for (const { path, method, requestBody } of routes.filter((route) => route.method !== 'get')) {
      const [type = 'application/json'] = Object.keys(requestBody?.content ?? {});
      const headers = { 'content-type': type, 'content-encoding': 'gzip', host: new URL(api.server.url).host };
      const url = path.replaceAll(/\{[^}]*\}/gu, 'a');
      const answer = await api.server.app.inject({ method: method.toUpperCase() as 'POST', url, headers, payload: '{}' });
      assert.deepEqual([answer.statusCode, answer.headers['accept-encoding']], [415, 'identity'], `${method} ${path}: ${answer.body}`);
      assert.match(answer.json<{ detail: string }>().detail, /as Content-Encoding must be identity: current value is "gzip"$/u);
    }
    const other = await api.call('POST', '/nodes', { body: 'x', type: 'text/plain' });
    assert.equal(other.headers['accept-encoding'], undefined); // RFC 9110 section 12.5.3: not for any other reason
  });

  test('a body over 1 MiB gets 413, one just below is read', async () => {
    const manifest = (size: number): string => {
      const empty = JSON.stringify({ ...manifestOf('Node', 'large'), padding: '' });
      return empty.replace('"padding":""', `"padding":"${'x'.repeat(size - empty.length)}"`);
    };
    assertProblem(await api.call('POST', '/nodes', { body: manifest(1024 * 1024 + 1) }), 413, 'PayloadTooLarge');
    assertProblem(await api.call('POST', '/nodes', { body: manifest(1024 * 1024) }), 400, 'Invalid');
    const chunked = `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(17)}0\r\n\r\n`;
    assert.match(await sendRaw(chunked), /^HTTP\/1\.1 413 .*PayloadTooLarge/su);
  });

  test('deep JSON, __proto__ and constructor harm nobody', async () => {
    assertProblem(await api.call('POST', '/nodes', { body: '['.repeat(500_000) }), 400, 'Invalid');
    const poisons = [
      '{"__proto__":{"polluted":1}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      '{"metadata":{"labels":{"__proto__":{"polluted":1}}}}',
    ];
    for (const body of poisons) {
      for (const [method, path, type, status] of [
        ['POST', '/nodes', 'application/json', 400],
        ['PATCH', '/nodes/a', MERGE, 400],
        ['PATCH', '/nodes/a', 'application/apply-patch+json', 400],
        ['POST', '/nodes/a/heartbeat', 'application/json', 204], // what reports have beside what is known is dropped
      ] as const) {
        assert.equal((await api.call(method, path, { body, type })).status, status, `${method} ${path} ${body}`);
      }
    }
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    const labels = { constructor: 'x', toString: 'y' }; // legal keys that must mean nothing else
    const odd = await api.apply('Node', 'odd', { metadata: { labels } });
    assert.deepEqual(odd.body.metadata.labels, labels);
    assert.deepEqual((await api.apply('Node', 'odd', { metadata: { labels: { constructor: null } } })).body.metadata.labels, {
      toString: 'y',
    });
  });

  test('a label key of 1 MB is refused at once', async () => {
    for (const key of ['a'.repeat(900_000), 'a.'.repeat(450_000), 'a-'.repeat(450_000), `${'a'.repeat(450_000)}/${'-'.repeat(100_000)}`]) {
      assertProblem(
        await api.call('POST', '/nodes', { body: manifestOf('Node', 'a', { metadata: { labels: { [key]: 'v' } } }) }),
        400,
        'Invalid',
      );
    }
  });

  test('what is no HTTP gets a problem on the bare connection too', async () => {
    assert.match(await sendRaw('\u0016\u0003\u0001 is this TLS?\r\n\r\n'), /^HTTP\/1\.1 400 .*problem\+json.*"reason":"Invalid"/su);
    const large = `GET /api/healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: ${'x'.repeat(70_000)}\r\n\r\n`;
    assert.match(await sendRaw(large), /^HTTP\/1\.1 431 .*problem\+json.*HeadersTooLarge/su);
    assert.match(
      await sendRaw('GET /api/v1/nodes/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 400 .*problem\+json/su,
    );
    assert.match(await sendRaw('BREW /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n'), /^HTTP\/1\.1 400 .*problem\+json/su);
    const short = 'POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"';
    await sendRaw(short); // whatever is answered: nothing falls over
    assert.equal((await api.call('GET', '/api/healthz')).status, 200);
  });

  test("requests have an id, the caller's own where it is a harmless word", async () => {
    const own = await api.call('GET', '/api/healthz', { headers: { 'x-request-id': 'mine-1' } });
    assert.equal(own.headers['x-request-id'], 'mine-1');
    const odd = await api.call('GET', '/api/healthz', { headers: { 'x-request-id': 'a b"c' } });
    assert.match(String(odd.headers['x-request-id']), /^[0-9a-f]{8}-[0-9a-z]+$/u);
  });

  test('whatever the body is, no path answers 5xx', async () => {
    const paths = [
      ['POST', '/nodes', 'application/json'],
      ['PUT', '/nodes/odd', 'application/json'],
      ['PATCH', '/nodes/odd', MERGE],
      ['PATCH', '/nodes/odd', 'application/apply-patch+json'],
      ['POST', '/nodes/odd/heartbeat', 'application/json'],
      ['POST', '/nodes/odd/register', 'application/json'],
      ['POST', '/projects', 'application/json'],
      ['PATCH', '/projects/odd', 'application/apply-patch+json'],
      ['PATCH', '/projects/odd/status', 'application/json'],
    ] as const;
    const near = fc.record(
      {
        apiVersion: fc.oneof(fc.constant('caravanserai/v1'), fc.jsonValue()),
        kind: fc.oneof(fc.constantFrom('Node', 'Project'), fc.jsonValue()),
        metadata: fc.oneof(fc.record({ name: fc.constant('odd'), labels: fc.jsonValue() }), fc.jsonValue()),
        spec: fc.oneof(fc.record({ services: fc.jsonValue(), unschedulable: fc.jsonValue() }), fc.jsonValue()),
        capacity: fc.jsonValue(),
        conditions: fc.jsonValue(),
        identity: fc.jsonValue(),
        phase: fc.jsonValue(),
        services: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.oneof(near, fc.jsonValue()), async ([method, path, type], body) => {
        const answer = await api.call(method, path, { body: JSON.stringify(body), type });
        assert.ok(answer.status < 500, `${answer.status} ${JSON.stringify(answer.body)}`);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the server itself', () => {
  test('is alive, ready, of a version, and described', async () => {
    assert.deepEqual((await api.call('GET', '/api/healthz')).body, { status: 'ok' });
    assert.deepEqual((await api.call('GET', '/api/readyz')).body, { status: 'ok' });
    const { version, apiVersion, clusterId } = (await api.call('GET', '/version')).body;
    assert.equal(apiVersion, 'caravanserai/v1');
    assert.match(version, /^\d+\.\d+\.\d+/u);
    assert.match(clusterId, /^[0-9a-f-]{36}$/u);
    const { body: openapi } = await (
      await fetch(`${api.server.url}/openapi.json`)
    )
      .json()
      .then((body: unknown) => ({ body: body as { paths: object } }));
    assert.ok(Object.hasOwn(openapi.paths, '/api/v1/nodes/{name}/heartbeat'));
  });

  test('keeps its cluster id over restarts', async () => {
    const { body: first } = await api.call('GET', '/version');
    await using other = await startApiOn({ clock: systemClock, store: api.store });
    assert.equal((await other.call('GET', '/version')).body.clusterId, first.clusterId);
  });

  test('measures heartbeats, nodes and requests', async () => {
    await api.apply('Node', 'measured');
    await api.beat('measured');
    const { body, headers } = await api.call('GET', '/metrics');
    assert.match(String(headers['content-type']), /^text\/plain/u);
    assert.match(body, /^cara_heartbeats_total [1-9]/mu);
    assert.match(body, /^cara_nodes\{state="(?:Not)?Ready"\} \d/mu);
    assert.match(body, /^cara_http_requests_total\{method="PATCH",route="\/api\/v1\/nodes\/:name",status="201"\} \d/mu);
    assert.match(body, /^process_resident_memory_bytes \d{8}/mu);
  });
});
