import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { describe, it } from 'node:test';
import { connectTo, listenOnLoopback } from '../../test/support/network/socket-pair.ts';
import { freeBuffer, markSole } from './free-buffer.ts';
import { join } from './join.ts';
import { WebSocketStream } from './web-socket.ts';

/** Every byte has its place in it, so that one that is lost, moved or changed is seen; in pieces of many sizes. */
function pieces(seed: number): readonly Buffer[] {
  const sizes = [1, 65_536, 0, 13, 65_535, 126, 70_001, 4096, 125, 200_000].flatMap((size) => [size, size + seed, seed]);
  let count = 0;
  return sizes.map((size) => Buffer.from(Uint8Array.from({ length: size }, () => ((count += 1) * 31) >> (count & 7))));
}

/** All that comes; leaves the other direction open. */
async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

async function send(socket: net.Socket, all: readonly Buffer[]): Promise<void> {
  for (const piece of all) {
    if (!socket.write(piece)) {
      await once(socket, 'drain');
    }
  }
  socket.end();
}

describe('join()', () => {
  it('join() hands on every byte in both directions, over a WebSocket in between too, and each direction ends by itself', async () => {
    const server = await listenOnLoopback();
    const [user, near] = await connectTo(server, { allowHalfOpen: true });
    const [wire, otherWire] = await connectTo(server, { allowHalfOpen: true });
    const [far, service] = await connectTo(server, { allowHalfOpen: true });
    const head = Buffer.alloc(0);
    const { signal } = new AbortController();
    const joined = Promise.all([
      join({ left: near, right: new WebSocketStream({ socket: wire, head, role: 'client' }) }, signal),
      join({ left: new WebSocketStream({ socket: otherWire, head, role: 'server' }), right: far }, signal),
    ]);
    const [asked, told] = [pieces(1), pieces(2)];
    const [gotAsked, gotTold] = [readAll(service), readAll(user)];
    await send(user, asked);
    assert.ok((await gotAsked).equals(Buffer.concat(asked)), 'what the user sent');
    await send(service, told); // only now: its own direction is open still
    assert.ok((await gotTold).equals(Buffer.concat(told)), 'what the service sent');
    await joined;
    server.close();
    await once(server, 'close');
  });

  it('join() gives back the memory of what it has handed on', async () => {
    const server = await listenOnLoopback();
    const [user, near] = await connectTo(server, { allowHalfOpen: true });
    const [far, service] = await connectTo(server, { allowHalfOpen: true });
    const chunks: Buffer[] = [];
    near.on('data', (chunk: Buffer) => chunks.push(chunk));
    near.pause();
    const joined = join({ left: near, right: far }, new AbortController().signal);
    const got = readAll(service);
    await send(user, [Buffer.alloc(1_000_000, 'abc')]);
    assert.equal((await got).length, 1_000_000);
    service.end();
    await Promise.all([joined, readAll(user)]);
    const emptied = chunks.filter(({ length }) => length === 0); // a read that was a little short keeps its buffer
    assert.ok(emptied.length > 0.7 * chunks.length, chunks.map(({ length }) => length).join(' '));
    server.close();
    await once(server, 'close');
  });
});

describe('freeBuffer()', () => {
  it('freeBuffer() leaves alone what shares its buffer with others', () => {
    const whole = Buffer.from(new ArrayBuffer(8));
    const [left, right] = [whole.subarray(0, 4), whole.subarray(4)];
    freeBuffer(left);
    assert.equal(right.length, 4);
    freeBuffer(markSole(right)); // by somebody who knows that nobody uses the rest
    assert.deepEqual([left.length, right.length, whole.length], [0, 0, 0]);
  });
});
