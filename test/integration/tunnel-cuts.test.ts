/**
 * Tunnels that are cut in every way while streams run through them. Node's HTTP/2 on a stream that is no socket ends the process where
 * that stream says `error` or `end` at the wrong moment (web-socket.ts): an assertion in here fails the file.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import { test } from 'node:test';
import { createDispatcher } from '../../src/agent/http/dispatcher.ts';
import type { Route } from '../../src/agent/http/route.ts';
import { serveTunnel } from '../../src/agent/http/tunnel-front.ts';
import { WebSocketStream } from '../../src/base/web-socket.ts';
import { Tunnel } from '../../src/server/tunnel/tunnel.ts';
import { connectTo, listenOnLoopback } from '../support/network/socket-pair.ts';

const ROUNDS = 12;
const STREAMS = 20;
const SIGNAL = new AbortController().signal;
const CHUNK = Buffer.alloc(64 * 1024);

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) {
    yield CHUNK;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const routes: readonly Route[] = [
  { kind: 'reply', path: /^\/endless$/u, handle: () => ({ status: 200, headers: {}, body: endless() }) },
  {
    kind: 'stream',
    path: /^\/echo$/u,
    open: async () => async (stream) => {
      stream.pipe(new PassThrough()).pipe(stream);
      await once(stream, 'close');
    },
  },
];
const dispatcher = createDispatcher({ routes, access: { check: () => undefined }, onBug: (error) => assert.fail(String(error)) });

interface Ends {
  readonly server: WebSocketStream;
  readonly agent: WebSocketStream;
  readonly wires: readonly [net.Socket, net.Socket];
}

async function connect(listener: net.Server): Promise<Ends> {
  const [dialled, socket] = await connectTo(listener);
  const head = Buffer.alloc(0);
  const server = new WebSocketStream({ socket, head, role: 'server', endsWhole: true });
  const agent = new WebSocketStream({ socket: dialled, head, role: 'client', endsWhole: true });
  return { server, agent, wires: [dialled, socket] };
}

async function load(tunnel: Tunnel): Promise<void> {
  const open = async (): Promise<void> => {
    const stream: Duplex = await tunnel.open('/echo', 'x', SIGNAL);
    stream.on('error', () => undefined).resume();
    const pour = (): void => {
      while (!stream.destroyed && stream.write(CHUNK)) {
        // until it is full
      }
      stream.once('drain', pour);
    };
    pour();
  };
  const read = async (): Promise<void> => {
    const { body } = await tunnel.request({ method: 'GET', path: '/endless' }, 'x', SIGNAL);
    body.on('error', () => undefined).resume();
  };
  await Promise.all(Array.from({ length: STREAMS }, (_, n) => (n % 2 === 0 ? open() : read())));
}

const CUTS: Readonly<Record<string, (ends: Ends) => void>> = {
  'the server lets go': ({ server }) => server.destroy(),
  'the agent lets go': ({ agent }) => agent.destroy(),
  'the connection is reset at the server': ({ wires }) => wires[1].resetAndDestroy(),
  'the connection is reset at the agent': ({ wires }) => wires[0].resetAndDestroy(),
  'the server ends it': ({ wires }) => wires[1].end(),
  'the agent ends it': ({ wires }) => wires[0].end(),
  'the agent sends no HTTP/2': ({ agent }) => agent.write(Buffer.alloc(1000, 'x')),
  'the server sends no HTTP/2': ({ server }) => server.write(Buffer.alloc(1000, 'x')),
  'the agent sends no WebSocket': ({ wires }) => wires[0].write(Buffer.alloc(1000, 'x')),
  // frames as no end of ours sends them here, but as a WebSocket may
  'the server says that it has nothing more': ({ wires }) => wires[1].write(Buffer.from([0x82, 0])),
  'the agent says that it has nothing more': ({ wires }) => wires[0].write(Buffer.from([0x82, 0x80, 0, 0, 0, 0])),
  'the server closes as if all were said': ({ wires }) => wires[1].write(Buffer.from([0x88, 2, 0x03, 0xe8])),
  'the agent closes as if all were said': ({ wires }) => wires[0].write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])),
  'the line stands still, then both let go': ({ server, agent, wires }) => {
    wires.forEach((wire) => wire.pause());
    setImmediate(() => {
      server.destroy();
      agent.destroy();
    });
  },
};

for (const [what, cut] of Object.entries(CUTS)) {
  test(`a busy tunnel survives it when ${what}`, async () => {
    const listener = await listenOnLoopback();
    for (let round = 0; round < ROUNDS; round += 1) {
      const ends = await connect(listener);
      serveTunnel(ends.agent, dispatcher);
      const tunnel = new Tunnel(ends.server);
      await load(tunnel);
      const closed = [ends.server, ends.agent].map(async (end) => end.closed || (await once(end, 'close')));
      cut(ends);
      setImmediate(() => ends.wires.forEach((wire) => wire.resume()));
      await Promise.all(closed);
      assert.equal(tunnel.isOpen, false);
    }
    listener.close();
    await once(listener, 'close');
  });
}
