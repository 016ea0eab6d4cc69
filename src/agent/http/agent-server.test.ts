import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StartError } from '../../base/program.ts';
import { startAgentServer, type AgentServer, type Route } from './agent-server.ts';
import { healthRoute } from './health.ts';

const health = healthRoute({
  nodeName: 'worker-01',
  serverUrl: 'http://127.0.0.1:1',
  standing: () => 'joining',
  trial: () => 'over',
  engine: () => ({ isAvailable: false, reason: 'EngineHangs', message: 'hangs' }),
});
const broken: Route = {
  method: 'GET',
  path: /^\/broken$/u,
  handle: () => {
    throw new Error('secret');
  },
};

async function setUp(port = 0): Promise<AgentServer & AsyncDisposable> {
  const server = await startAgentServer({ host: '127.0.0.1', port, routes: [health, broken], onBug: () => undefined });
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

  it('startAgentServer() says which setting mends a busy port', async () => {
    await using server = await setUp();
    await assert.rejects(
      setUp(server.port),
      (error) => error instanceof StartError && /the port is in use: set AGENT_PORT to another one/u.test(error.message),
    );
  });

  it('startAgentServer() says which setting mends an address that this machine does not have', async () => {
    await assert.rejects(startAgentServer({ host: '192.0.2.1', port: 0, routes: [], onBug: () => undefined }), /set AGENT_HOST/u);
  });
});
