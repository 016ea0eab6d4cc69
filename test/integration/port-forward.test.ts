/** caractrl port-forward: from a local port through a real server and a real agent to what listens in a "container" of a fake engine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { ctl, startCtl, type CtlRun } from '../support/worlds/ctl.ts';

const NODE = 'worker-01';
/** where the agent does not listen, so that everything goes through the tunnel */
const ELSEWHERE = { NODE_IP: '127.0.0.2' };

interface World extends AsyncDisposable {
  readonly runs: CtlRun[];
  readonly world: AgentWorld;
  /** of a server that answers all that it got, once it has got all of it */
  readonly echo: number;
  /** of a server that sends without end to whoever connects; `sent` are the bytes that it could get rid of */
  readonly flood: { readonly port: number; sent(): number };
}

async function listen(onConnection: (socket: net.Socket) => void): Promise<net.Server & AsyncDisposable> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      open.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  });
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

async function freePort(): Promise<number> {
  await using server = await listen(() => undefined);
  return portOf(server);
}

async function setUp(agentEnv: Readonly<Record<string, string>> = {}): Promise<World> {
  const world = await startAgentWorld({ agentEnv, heartbeatInterval: '200ms' });
  world.engine.state.containerAddress = '127.0.0.1';
  world.engine.addImage('web:1');
  const echo = await listen((socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(Buffer.concat([Buffer.from('got '), ...chunks])));
  });
  let sent = 0;
  const flood = await listen((socket) => {
    const chunk = Buffer.alloc(64 * 1024);
    const send = (): void => {
      while (socket.writable && socket.write(chunk, () => (sent += chunk.length))) {
        // until it has had enough
      }
    };
    socket.on('drain', send);
    send();
  });
  await world.startAgent(NODE);
  const spec = { services: ['web', 'db'].map((name) => ({ name, image: 'web:1' })) };
  await world.client.projects.apply('shop', { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name: 'shop' }, spec }, FOREVER);
  await world.until('the Project to run', async () => (await world.client.projects.get('shop', FOREVER)).status.phase === 'Running');
  const runs: CtlRun[] = [];
  return {
    runs,
    world,
    echo: portOf(echo),
    flood: { port: portOf(flood), sent: () => sent },
    [Symbol.asyncDispose]: async () => {
      runs.forEach((run) => run.interrupt());
      await Promise.all(runs.map(({ done }) => done));
      await world[Symbol.asyncDispose]();
      await echo[Symbol.asyncDispose]();
      await flood[Symbol.asyncDispose]();
    },
  };
}

interface Forwarding {
  readonly run: CtlRun;
  /** local ports, in the order of the pairs */
  readonly ports: readonly number[];
}

async function start({ world, runs }: World, ...args: readonly string[]): Promise<Forwarding> {
  const run = startCtl(['port-forward', ...args], { server: world.server().url });
  runs.push(run);
  const last = args.at(-1)?.split(':').at(-1);
  await run.shows(`:${last}\n`);
  const ports = [...run.stdout().matchAll(/^Forwarding [\d.]+:(\d+) -> /gmu)].map(([, port]) => Number(port));
  return { run, ports };
}

/** Sends, ends, and reads to the end. */
async function talk(port: number | undefined, words: string | Buffer): Promise<string> {
  const socket = net.connect({ port: port ?? 0, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(words);
  await once(socket, 'end').catch(() => undefined);
  socket.destroy();
  return String(Buffer.concat(chunks));
}

describe('caractrl port-forward', () => {
  for (const [path, env] of [
    ['directly', {}],
    ['through the tunnel', ELSEWHERE],
  ] as const) {
    it(`port-forward carries many connections at once ${path}, each direction ending by itself`, async () => {
      await using world = await setUp(env);
      const { run, ports } = await start(world, 'shop/web', `:${world.echo}`, `0:${world.flood.port}`);
      assert.equal(new Set(ports).size, 2);
      const words = Array.from({ length: 100 }, (_, n) => `word ${n}`);
      assert.deepEqual(
        await Promise.all(words.map((word) => talk(ports[0], word))),
        words.map((word) => `got ${word}`),
      );
      const large = Buffer.alloc(5_000_000, 'abcdefg');
      assert.equal(await talk(ports[0], large), `got ${String(large)}`);
      run.interrupt();
      assert.equal((await run.done).code, 130);
    });

    it(`port-forward stops the sender ${path} when nobody reads`, async () => {
      await using world = await setUp(env);
      const { ports } = await start(world, 'shop/web', `:${world.flood.port}`);
      const socket = net.connect({ port: ports[0] ?? 0, host: '127.0.0.1' });
      socket.pause();
      let before = -1;
      await world.world.until('the sender to stop', async () => {
        const now = world.flood.sent();
        await new Promise((resolve) => setImmediate(resolve));
        const isStill = now > 0 && now === before;
        before = now;
        return isStill && (await stays(() => world.flood.sent()));
      });
      assert.ok(world.flood.sent() < 64 * 1024 * 1024, `${world.flood.sent()} bytes were taken`);
      socket.destroy();
    });

    it(`port-forward goes on ${path} after the agent, then the server were restarted, and says what was cut`, async () => {
      await using world = await setUp(env);
      const { run, ports } = await start(world, 'shop/web', `:${world.echo}`);
      const cut = async (): Promise<() => Promise<unknown>> => {
        const socket = net.connect({ port: ports[0] ?? 0, host: '127.0.0.1' });
        const errors = once(socket, 'error');
        socket.write('half a');
        await world.world.until('the connection to be there', () => socket.bytesWritten > 0);
        await talk(ports[0], 'x');
        return () => errors;
      };
      const first = await cut();
      await world.world.stopAgent();
      await first();
      await run.shows('ended before the time');
      await world.world.startAgent(NODE);
      await world.world.until('an answer', async () => (await talk(ports[0], 'again')) === 'got again');
      const second = await cut();
      await world.world.stopServer();
      await second();
      await run.shows('ended before the time: the server is stopping');
      assert.equal(await talk(ports[0], 'nobody there'), '');
      await run.shows('Cannot reach the server');
      await world.world.startServer();
      await world.world.until('an answer', async () => (await talk(ports[0], 'once more')) === 'got once more');
      await run.shows(`shop/web:${world.echo} answers again`);
    });
  }

  it('port-forward says once that nothing listens, resets each such connection, and stays', async () => {
    await using world = await setUp();
    const nobody = await freePort();
    const { run, ports } = await start(world, 'shop/web', `:${world.echo}`, `:${nobody}`);
    for (let n = 0; n < 3; n += 1) {
      const socket = net.connect({ port: ports[1] ?? 0, host: '127.0.0.1' });
      assert.equal(((await once(socket, 'error'))[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    }
    assert.equal(await talk(ports[0], 'well'), 'got well');
    run.interrupt();
    const told = `warning: Cannot connect to port ${nobody} of shop/web as nothing listens on it in the container; new connections are tried again\n`;
    assert.equal((await run.done).stderr, told);
  });

  it('port-forward refuses what cannot work, and says what would', async () => {
    await using world = await setUp();
    await using busy = await listen(() => undefined);
    const server = world.world.server().url;
    const refusal = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr, stdout } = await ctl(['port-forward', ...args], { server });
      assert.equal(stdout, '');
      return `${code} ${stderr.trim().replaceAll('\n', ' | ')}`;
    };
    const port = portOf(busy);
    assert.equal(
      await refusal('shop/web', ':1', `${port}:80`),
      `1 error: Cannot listen on 127.0.0.1:${port} as the port is in use | hint: take another, as in ${port + 1}:80, or any that is free with :80`,
    );
    assert.match(
      await refusal('shop/web', ':80', '--address', '192.0.2.7'),
      /^1 error: Cannot listen on 192\.0\.2\.7:0 as this machine has no such address/u,
    );
    assert.match(await refusal('shop/web', '80:http'), /^2 .*"80:http".*such as 8080:80/u);
    assert.match(await refusal('shop/web', '8080:70000'), /^2 /u);
    assert.match(await refusal('shop/web', '8080:1', '8080:2'), /^2 .*8080 to two places/u);
    assert.match(await refusal('shop/web'), /^2 .*no port is named/u);
    assert.match(await refusal('shop', ':80'), /^2 .*it has web, db/u);
    assert.match(await refusal('shop/nope', ':80'), /^1 .*its services are web, db/u);
    assert.match(await refusal('nope/web', ':80'), /^1 error: .*nope/u);
    assert.match(await refusal(), /^2 .*no service is named/u);
  });
});

async function stays(value: () => number): Promise<boolean> {
  const before = value();
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return value() === before;
}
