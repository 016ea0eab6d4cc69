import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import { API_VERSION } from '../../src/api/meta.ts';
import type { NodeObject } from '../../src/api/node.ts';
import { newCredential, NODE_LETTER } from '../../src/server/auth/token-format.ts';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import type { VirtualClock } from '../support/time/virtual-clock.ts';

const REPORT = JSON.stringify({ capacity: { cpu: '4' }, identity: { id: 'identity-1' } });
const OF_EACH_ANSWER = ['date', 'connection', 'keep-alive', 'content-length', 'x-request-id', 'transfer-encoding'];

interface Beat {
  readonly what: string;
  readonly path?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const BEATS: readonly Beat[] = [
  { what: 'the usual' },
  { what: 'the same again' },
  { what: 'another identity', body: JSON.stringify({ identity: { id: 'identity-2' } }) },
  { what: 'an empty object', body: '{}' },
  { what: 'nothing at all', body: '' },
  { what: 'no JSON', body: '{"capacity":' },
  { what: 'an unknown field', body: '{"capcity":{}}' },
  { what: 'a wrong type', body: '{"capacity":7}' },
  { what: 'more than any heartbeat', body: `{"info":{"osImage":"${'x'.repeat(70_000)}"}}` },
  { what: 'more than any body', body: 'x'.repeat(1024 * 1024 + 1) },
  {
    what: 'text beyond ASCII',
    body: '{"conditions":[{"type":"DiskPressure","status":"False","reason":"R","message":"Größe: 5 €, ok \u{1f600}"}]}',
  },
  { what: 'a stranger', path: '/api/v1/nodes/worker-09/heartbeat' },
  { what: 'a deleted node', path: '/api/v1/nodes/worker-02/heartbeat' },
  { what: 'an encoded name', path: '/api/v1/nodes/worker%2D01/heartbeat' },
  { what: 'no name', path: '/api/v1/nodes//heartbeat' },
  { what: 'a query', path: '/api/v1/nodes/worker-01/heartbeat?x=1' },
  { what: 'another media type', headers: { 'content-type': 'text/plain' } },
  { what: 'a media type with a parameter', headers: { 'content-type': 'application/json; charset=utf-8' } },
  { what: 'a body that is said to be encoded', headers: { 'content-encoding': 'gzip' } },
  { what: 'an encoded body', body: new Uint8Array(gzipSync(REPORT)), headers: { 'content-encoding': 'gzip' } },
  { what: 'a body that is said not to be encoded', headers: { 'content-encoding': 'Identity' } },
  { what: "another site's page", headers: { origin: 'https://elsewhere.example' } },
  { what: 'a Host that is not ours', headers: { host: 'elsewhere.example' } },
  { what: 'its own request id', headers: { 'x-request-id': 'mine-1' } },
];

async function startFleet(options: Parameters<typeof startApi>[0] = {}): Promise<ApiServer<VirtualClock>> {
  const api = await startApi({ listen: true, ...options });
  for (const name of ['worker-01', 'worker-02']) {
    await api.call('POST', '/nodes', { body: { apiVersion: API_VERSION, kind: 'Node', metadata: { name } } });
  }
  await api.call('DELETE', '/nodes/worker-02');
  return api;
}

/** Through the front, as agents send it. */
async function send(api: ApiServer, { path = '/api/v1/nodes/worker-01/heartbeat', body = REPORT, headers }: Beat) {
  const { port } = new URL(api.server.url);
  const socket = connect(Number(port), '127.0.0.1');
  const all = {
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => undefined); // a refusal before the end of a long body
  socket.write(`POST ${path} HTTP/1.1\r\nconnection: close\r\n${head.join('')}\r\n`);
  socket.write(body);
  let text = '';
  socket.on('data', (bytes) => (text += bytes.toString()));
  await until(() => socket.closed, { what: 'the answer', timeoutMs: 60_000, intervalMs: 1 });
  const [start = '', rest = ''] = text.split(/\r\n\r\n(.*)/su);
  const lines = start.split('\r\n');
  const answered = Object.fromEntries(lines.slice(1).map((line) => line.split(/: (.*)/u).slice(0, 2) as [string, string]));
  return { status: Number(lines[0]?.slice(9, 12)), headers: lowerCased(answered), body: readProblem(rest) };
}

/** Through Fastify alone. */
async function inject(api: ApiServer, { path = '/api/v1/nodes/worker-01/heartbeat', body = REPORT, headers }: Beat) {
  const answer = await api.server.app.inject({
    method: 'POST',
    url: path,
    headers: { host: new URL(api.server.url).host, 'content-type': 'application/json', ...headers },
    payload: typeof body === 'string' ? body : Buffer.from(body),
  });
  return { status: answer.statusCode, headers: lowerCased(answer.headers), body: readProblem(answer.body) };
}

function lowerCased(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name, value]) => !OF_EACH_ANSWER.includes(name) && value !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function readProblem(text: string): unknown {
  return text === '' ? undefined : JSON.parse(text);
}

describe('the beat front', () => {
  test('answers each heartbeat, good or bad, in the very words of the route behind it', async () => {
    await using front = await startFleet();
    await using behind = await startFleet();
    for (const beat of BEATS) {
      assert.deepEqual(await send(front, beat), await inject(behind, beat), beat.what);
    }
    const [one, other] = await Promise.all([front.node('worker-01'), behind.node('worker-01')]);
    assert.deepEqual(statusOf(one), statusOf(other));
  });

  test('refuses an encoded body, and says that none is to be encoded', async () => {
    await using api = await startFleet();
    for (const ask of [send, inject]) {
      for (const body of [REPORT, new Uint8Array(gzipSync(REPORT))]) {
        const { status, headers, body: problem } = await ask(api, { what: '', body, headers: { 'content-encoding': 'gzip' } });
        assert.deepEqual([status, headers['accept-encoding']], [415, 'identity']);
        assert.match((problem as { detail: string }).detail, /as Content-Encoding must be identity: current value is "gzip"$/u);
      }
      assert.equal((await ask(api, { what: '', headers: { 'content-encoding': 'Identity' } })).status, 204);
    }
    assert.equal((await send(api, { what: '', headers: { 'content-type': 'text/plain' } })).headers['accept-encoding'], undefined);
  });

  test('asks for credentials as the route does, and lets in the node itself alone', async () => {
    const config = { AUTH: 'token' } as const;
    const answers = [send, inject].map(async (ask) => {
      await using api = await startApi({ listen: true, config });
      const own = newCredential(NODE_LETTER);
      const metadata = { labels: {}, annotations: {}, uid: 'u', generation: 1, createdAt: '', updatedAt: '' };
      const stored = {
        apiVersion: API_VERSION,
        kind: 'NodeCredential',
        hash: own.hash,
        node: 'worker-01',
        expiresAt: '2030-01-01T00:00:00Z',
      };
      await api.store.commit([{ op: 'create', object: { ...stored, metadata: { ...metadata, name: own.id } } }]);
      const shown = [undefined, `Bearer ${own.text}`, `Bearer ${own.text.slice(0, -1)}`, 'Basic abc', 'Bearer'];
      const seen = [];
      for (const path of ['/api/v1/nodes/worker-01/heartbeat', '/api/v1/nodes/worker-03/heartbeat']) {
        for (const authorization of shown) {
          const { status, body } = await ask(api, { what: '', path, ...(authorization !== undefined && { headers: { authorization } }) });
          seen.push([path, status, (body as { reason?: string } | undefined)?.reason]);
        }
      }
      return seen;
    });
    const [front, behind] = await Promise.all(answers);
    assert.deepEqual(front, behind);
    assert.deepEqual(new Set(front?.map(([, status]) => status)), new Set([401, 403, 404]));
  });

  test('does not mind a connection that breaks in the midst of a heartbeat, nor one that comes in pieces', async () => {
    await using api = await startFleet();
    const { port, host } = new URL(api.server.url);
    const head = `POST /api/v1/nodes/worker-01/heartbeat HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`;
    const broken = connect(Number(port), '127.0.0.1');
    broken.write(`${head}content-length: 1000\r\n\r\n{"capacity":`);
    await until(async () => (await connectionsOf(api)) === 1, { what: 'the connection', timeoutMs: 60_000, intervalMs: 1 });
    broken.destroy();
    await until(async () => (await connectionsOf(api)) === 0, { what: 'its end', timeoutMs: 60_000, intervalMs: 1 });
    const slow = connect(Number(port), '127.0.0.1');
    slow.setNoDelay(true);
    let text = '';
    slow.on('data', (bytes) => (text += bytes.toString()));
    for (const piece of [head, `content-length: ${REPORT.length}\r\n\r\n`, REPORT.slice(0, 20), REPORT.slice(20)]) {
      await new Promise((resolve) => void slow.write(piece, resolve));
    }
    await until(() => text.startsWith('HTTP/1.1 204 '), { what: 'the answer', timeoutMs: 60_000, intervalMs: 1 });
    slow.destroy();
    await api.clock.advance(1000);
    assert.equal((await api.node('worker-01')).status.capacity?.cpu, '4');
  });
});

function statusOf({ status: { conditions, state, capacity } }: NodeObject): unknown {
  return { state, capacity, conditions: conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })) };
}

async function connectionsOf(api: ApiServer): Promise<number> {
  return await new Promise((resolve) => api.server.app.server.getConnections((_error, count) => resolve(count)));
}
