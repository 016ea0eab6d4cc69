import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { until } from '../../../scripts/lib/wait.ts';
import { TunnelRegistry } from './tunnel-registry.ts';

const SIGNAL = new AbortController().signal;

interface World extends AsyncDisposable {
  readonly registry: TunnelRegistry;
  pass(ms: number): void;
  /** The node's agent opens a tunnel. */
  open(): Promise<void>;
}

async function setUp(): Promise<World> {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, sleep: async () => await Promise.withResolvers<void>().promise };
  const registry = new TunnelRegistry({ clock, log: pino({ level: 'silent' }) });
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets: net.Socket[] = [];
  return {
    registry,
    pass: (ms) => void (nowMs += ms),
    open: async () => {
      const accepted = once(server, 'connection') as Promise<[net.Socket]>;
      sockets.push(net.connect((server.address() as net.AddressInfo).port, '127.0.0.1'));
      const [socket] = await accepted;
      sockets.push(socket);
      registry.add('worker-01', { socket, head: Buffer.alloc(0) });
    },
    [Symbol.asyncDispose]: async () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}

describe('TunnelRegistry', () => {
  it('patienceMs() is long after a start and after a loss, as agents come back, and short for who has had none for long', async () => {
    await using world = await setUp();
    const { registry } = world;
    assert.equal(registry.patienceMs('worker-01'), 20_000);
    world.pass(60_000);
    assert.equal(registry.patienceMs('worker-01'), 5000);
    await world.open();
    const tunnel = registry.find('worker-01') ?? assert.fail();
    tunnel.close();
    await until(() => registry.find('worker-01') === undefined, { what: 'the tunnel to go', timeoutMs: 60_000, intervalMs: 5 });
    world.pass(3000);
    assert.equal(registry.patienceMs('worker-01'), 17_000);
    registry.drop('worker-01'); // its record is deleted
    assert.equal(registry.patienceMs('worker-01'), 5000);
  });

  it('wait() gives the next tunnel, not the one that has just failed', async () => {
    await using world = await setUp();
    const { registry } = world;
    await world.open();
    const failed = registry.find('worker-01') ?? assert.fail();
    assert.equal(await registry.wait('worker-01', { ms: 20_000 }, SIGNAL), failed);
    const waiting = registry.wait('worker-01', { ms: 20_000, avoided: failed }, SIGNAL);
    await world.open();
    const next = await waiting;
    assert.ok(next !== undefined && next !== failed);
  });
});
