/** The two ways to a node: a real server and a real agent in this process, and a fake engine whose containers are reached at 127.0.0.1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { ApiError, type Reason } from '../../src/api/errors.ts';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';

const NODE = 'worker-01';
/** where the agent does not listen: dialling it is refused, as behind NAT */
const ELSEWHERE = { NODE_IP: '127.0.0.2' };

interface World extends AsyncDisposable {
  readonly world: AgentWorld;
  readonly links: () => ReturnType<AgentWorld['server']>['links'];
  /** of a TCP server that answers with what it got, once it has got all of it */
  readonly port: number;
}

async function setUp(agentEnv: Readonly<Record<string, string>> = {}): Promise<World> {
  const world = await startAgentWorld({ agentEnv });
  world.engine.state.containerAddress = '127.0.0.1';
  world.engine.addImage('web:1');
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(`got ${String(Buffer.concat(chunks))}`));
    socket.on('error', () => socket.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  await world.startAgent(NODE);
  const spec = { services: [{ name: 'web', image: 'web:1' }] };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
  await world.until('the Project to run', async () => (await world.client.projects.get('shop', FOREVER)).status.phase === 'Running');
  await world.until('a tunnel', () => world.server().tunnels.find(NODE) !== undefined);
  return {
    world,
    links: () => world.server().links,
    port: (listener.address() as net.AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return String(Buffer.concat(chunks));
}

async function refusalOf(work: Promise<unknown>): Promise<readonly [Reason, string]> {
  const error: unknown = await work.then(
    () => assert.fail('it was not refused'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ApiError, String(error));
  return [error.reason, error.message];
}

for (const [path, env] of [
  ['direct', {}],
  ['tunnel', ELSEWHERE],
] as const) {
  test(`a stream on the ${path} path ends each direction by itself, and the container's words come back`, async () => {
    await using world = await setUp(env);
    assert.equal((await world.links().measure(NODE, FOREVER)).path, path);
    const stream = await world.links().open(NODE, `/api/v1/forward/shop/web/${world.port}`, FOREVER);
    stream.end('hello');
    assert.equal(await readAll(stream), 'got hello');
  });

  test(`what the agent refuses is told in its words on the ${path} path`, async () => {
    await using world = await setUp(env);
    const { links } = world;
    const free = net.createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as net.AddressInfo;
    free.close();
    await once(free, 'close');
    const open = (what: string) => refusalOf(links().open(NODE, `/api/v1/forward/${what}`, FOREVER));
    assert.deepEqual(await open(`shop/web/${port}`), [
      'NotListening',
      `Cannot connect to port ${port} of shop/web as nothing listens on it in the container`,
    ]);
    assert.equal((await open('shop/web/x'))[0], 'Invalid');
    assert.equal((await open('shop/db/80'))[0], 'NotRunning');
    assert.equal((await refusalOf(links().request(NODE, { method: 'GET', path: '/nope' }, FOREVER)))[0], 'NotFound');
  });

  test(`200 streams at once on the ${path} path do not stop each other, though the first is never read`, async () => {
    await using world = await setUp(env);
    const target = `/api/v1/forward/shop/web/${world.port}`;
    const stuck = await world.links().open(NODE, target, FOREVER);
    stuck.end(Buffer.alloc(4 * 1024 * 1024));
    const words = Array.from({ length: 199 }, (_, n) => `stream ${n}`);
    const answers = words.map(async (word) => {
      const stream = await world.links().open(NODE, target, FOREVER);
      stream.end(word);
      return await readAll(stream);
    });
    assert.deepEqual(
      await Promise.all(answers),
      words.map((word) => `got ${word}`),
    );
    stuck.destroy();
  });

  test(`an aborted signal cuts a stream on the ${path} path`, async () => {
    await using world = await setUp(env);
    const stop = new AbortController();
    const stream = await world.links().open(NODE, `/api/v1/forward/shop/web/${world.port}`, stop.signal);
    stream.on('error', () => undefined);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    stream.once('close', resolve);
    stop.abort();
    await closed;
  });
}

test('the path changes by itself: to the tunnel when the address fails, and a way that was lost comes back', async () => {
  await using world = await setUp();
  assert.equal((await world.links().measure(NODE, FOREVER)).path, 'direct');
  await world.world.stopAgent();
  await world.world.until('the tunnel to go', () => world.world.server().tunnels.find(NODE) === undefined);
  await world.world.startAgent(NODE);
  await world.world.until('a tunnel', () => world.world.server().tunnels.find(NODE) !== undefined);
  const stream = await world.links().open(NODE, `/api/v1/forward/shop/web/${world.port}`, FOREVER); // by the former port, or the tunnel
  stream.end('again');
  assert.equal(await readAll(stream), 'got again');
  await world.world.until('the direct path', async () => (await world.links().measure(NODE, FOREVER)).path === 'direct');
});

test('the tunnel comes back after the server was restarted, and after it lost what it knew', async () => {
  await using world = await setUp(ELSEWHERE);
  await world.world.stopServer();
  await world.world.startServer();
  const stream = await world.links().open(NODE, `/api/v1/forward/shop/web/${world.port}`, FOREVER);
  stream.end('again');
  assert.equal(await readAll(stream), 'got again');
  await world.world.stopServer();
  await world.world.startServer({ isFresh: true });
  await world.world.until('a tunnel', () => world.world.server().tunnels.find(NODE) !== undefined);
});

test('a node that nobody can reach is described: unknown, without an agent, silent', async () => {
  await using world = await setUp(ELSEWHERE);
  const { links } = world;
  const ask = (node: string) => refusalOf(links().request(node, { method: 'GET', path: '/healthz' }, FOREVER));
  assert.equal((await ask('nobody'))[0], 'NotFound');
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Node', metadata: { name: 'worker-02' } };
  await world.world.client.nodes.apply('worker-02', manifest, FOREVER);
  const [reason, words] = await ask('worker-02');
  assert.equal(reason, 'NodeUnreachable');
  assert.match(words, /NotReady, it has never been heard/u);
  await world.world.stopAgent();
  await world.world.until('NotReady', async () => (await world.world.client.nodes.get(NODE, FOREVER)).status.state === 'NotReady');
  assert.match((await ask(NODE))[1], /it is silent since .* ago\)/u);
  assert.deepEqual((await links().measure(NODE, FOREVER)).path, 'none');
});

test('a deleted node loses its tunnel', async () => {
  await using world = await setUp(ELSEWHERE);
  await world.world.client.nodes.delete(NODE, {}, FOREVER);
  await world.world.until('the tunnel to go', () => world.world.server().tunnels.find(NODE) === undefined);
});

test('a tunnel is for the agent alone that registered last', async () => {
  await using world = await setUp();
  const url = `${world.world.server().url}/api/v1/nodes/${NODE}/tunnel`;
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'a'.repeat(24) };
  const ask = async (headers: Readonly<Record<string, string>>): Promise<number> => {
    const { default: http } = await import('node:http');
    const request = http.get(url, { headers, agent: false });
    const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    return response.statusCode;
  };
  assert.equal(await ask(upgrade), 401);
  assert.equal(await ask({ ...upgrade, 'cara-agent-credential': 'guess' }), 401);
  assert.equal(await ask({}), 401);
});
