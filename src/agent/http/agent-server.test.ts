import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import WebSocket from 'ws';
import { StartError } from '../../base/program.ts';
import { proofOf } from '../../base/link-proof.ts';
import { createAgentAccess } from './access.ts';
import { startAgentServer, type AgentServer } from './agent-server.ts';
import { createDispatcher } from './dispatcher.ts';
import { healthRoute } from './health.ts';
import { jsonReply, type Route } from './route.ts';

const CREDENTIAL = 'the-credential-of-the-last-registration';
const access = createAgentAccess();
access.set(CREDENTIAL);

const health = healthRoute({
  nodeName: 'worker-01',
  serverUrl: 'http://127.0.0.1:1',
  standing: () => 'joining',
  trial: () => 'over',
  engine: () => ({ isAvailable: false, reason: 'EngineHangs', message: 'hangs' }),
  access,
});
const broken: Route = {
  kind: 'reply',
  isPublic: true,
  path: /^\/broken$/u,
  handle: () => {
    throw new Error('secret');
  },
};

const guarded: Route = { kind: 'reply', path: /^\/guarded\/(?<name>[^/]+)$/u, handle: ({ params }) => jsonReply(200, params) };
const echo: Route = {
  kind: 'stream',
  path: /^\/echo$/u,
  open: async () => async (stream) => await pipeline(stream, stream),
};
const dispatcher = createDispatcher({ routes: [health, broken, guarded, echo], access, onBug: () => undefined });

async function setUp(port = 0): Promise<AgentServer & AsyncDisposable> {
  const server = await startAgentServer({ host: '127.0.0.1', port, dispatcher });
  return { ...server, [Symbol.asyncDispose]: async () => await server.close() };
}

describe('startAgentServer()', () => {
  it('startAgentServer() answers /healthz with 200 whatever server and engine do', async () => {
    await using server = await setUp();
    assert.equal(server.url, `http://127.0.0.1:${server.port}`);
    const response = await fetch(`${server.url}/healthz`);
    assert.equal(response.status, 200);
    const body = (await response.json()) as Record<string, unknown>;
    assert.equal(body['status'], 'ok');
    assert.equal(body['node'], 'worker-01');
    assert.equal(body['standing'], 'joining');
    const head = await fetch(`${server.url}/healthz`, { method: 'HEAD' });
    assert.equal(await head.text(), '');
    assert.equal(head.status, 200);
  });

  for (const [method, path, status, reason] of [
    ['GET', '/nope', 404, 'NotFound'],
    ['GET', '//', 404, 'NotFound'],
    ['POST', '/healthz', 405, 'MethodNotAllowed'],
    ['GET', '/broken', 500, 'Internal'],
  ] as const) {
    it(`startAgentServer() answers ${method} ${path} with a problem of status ${status}`, async () => {
      await using server = await setUp();
      const response = await fetch(`${server.url}${path}`, { method });
      assert.equal(response.status, status);
      assert.equal(response.headers.get('content-type'), 'application/problem+json');
      const problem = (await response.json()) as Record<string, unknown>;
      assert.equal(problem['reason'], reason);
      assert.ok(!JSON.stringify(problem).includes('secret'));
      assert.equal(response.headers.get('allow'), status === 405 ? 'GET' : null);
    });
  }

  it('startAgentServer() lets nobody in but who shows the credential of the last registration', async () => {
    await using server = await setUp();
    const ask = async (authorization?: string) =>
      await fetch(`${server.url}/guarded/a%20b`, { headers: authorization === undefined ? {} : { authorization } });
    for (const wrong of [undefined, 'Bearer', `Bearer ${CREDENTIAL}x`, `Basic ${CREDENTIAL}`, 'Bearer x']) {
      const { status, headers } = await ask(wrong);
      assert.equal(status, 401, `with ${wrong}`);
      assert.equal(headers.get('www-authenticate'), 'Bearer');
    }
    assert.deepEqual(await (await ask(`Bearer ${CREDENTIAL}`)).json(), { name: 'a b' });
  });

  it('startAgentServer() proves who it is without showing the credential', async () => {
    await using server = await setUp();
    const nonce = 'abcdefghijklmnop';
    const body = await (await fetch(`${server.url}/healthz`, { headers: { 'cara-nonce': nonce } })).text();
    assert.ok(!body.includes(CREDENTIAL));
    assert.equal((JSON.parse(body) as { proof: string }).proof, proofOf(CREDENTIAL, nonce));
    assert.equal((await fetch(`${server.url}/healthz`, { headers: { 'cara-nonce': 'short' } })).status, 400);
  });

  it('startAgentServer() serves a stream to a WebSocket client of another make', async () => {
    await using server = await setUp();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/echo`, { headers: { authorization: `Bearer ${CREDENTIAL}` } });
    await once(socket, 'open');
    const sent = Buffer.alloc(200_000, 'caravanserai');
    socket.send(sent);
    const chunks: Buffer[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('message', (chunk: Buffer) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length === sent.length) {
        resolve();
      }
    });
    await promise;
    assert.ok(Buffer.concat(chunks).equals(sent));
    socket.close();
    await once(socket, 'close');
  });

  it('startAgentServer() serves a stream as bytes, each direction ending by itself', async () => {
    await using server = await setUp();
    const headers = { authorization: `Bearer ${CREDENTIAL}`, connection: 'Upgrade', upgrade: 'cara-stream' };
    const request = http.get(`${server.url}/echo`, { headers, agent: false });
    request.on('socket', (socket) => (socket.allowHalfOpen = true));
    const [, socket] = (await once(request, 'upgrade')) as [unknown, Socket];
    socket.end('there and back');
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    assert.equal(String(Buffer.concat(chunks)), 'there and back');
  });

  it('startAgentServer() refuses an upgrade with a problem', async () => {
    await using server = await setUp();
    const upgrade = { connection: 'Upgrade', upgrade: 'cara-stream' };
    for (const [path, headers, status] of [
      ['/echo', {}, 401],
      ['/nope', {}, 404],
      ['/healthz', {}, 400],
      ['/echo', { authorization: `Bearer ${CREDENTIAL}`, upgrade: 'other' }, 426],
    ] as const) {
      const request = http.get(`${server.url}${path}`, { headers: { ...upgrade, ...headers }, agent: false });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      assert.equal(response.statusCode, status, path);
      response.resume();
    }
    const plain = await fetch(`${server.url}/echo`, { headers: { authorization: `Bearer ${CREDENTIAL}` } });
    assert.equal(plain.status, 426);
  });

  it('startAgentServer() says which setting mends a busy port', async () => {
    await using server = await setUp();
    await assert.rejects(
      setUp(server.port),
      (error) => error instanceof StartError && /the port is in use: set AGENT_PORT to another one/u.test(error.message),
    );
  });

  it('startAgentServer() says which setting mends an address that this machine does not have', async () => {
    await assert.rejects(startAgentServer({ host: '192.0.2.1', port: 0, dispatcher }), /set AGENT_HOST/u);
  });
});
