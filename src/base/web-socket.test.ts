import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { connectTo, listenOnLoopback } from '../../test/support/network/socket-pair.ts';
import { WebSocketStream } from './web-socket.ts';
import { ClosedByPeer, GoingAway } from './web-socket/end.ts';
import { acceptOf } from './web-socket/handshake.ts';
import { encodeHeader, FrameError, FrameReader, OPCODE } from './web-socket/frames.ts';
import { applyMask } from './web-socket/mask.ts';

describe('FrameReader', () => {
  it('FrameReader gives back what encodeHeader() framed, however the connection cuts it', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 70_000, size: 'max' }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(messages, fc.boolean(), fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }), (sent, isMasked, cuts) => {
        const mask = isMasked ? Uint8Array.from([7, 200, 0, 91]) : undefined;
        const wire = Buffer.concat(
          sent.flatMap((message) => {
            const body = Buffer.from(message);
            applyMask(body, mask ?? new Uint8Array(4));
            return [encodeHeader(OPCODE.binary, body.length, mask), body];
          }),
        );
        const reader = new FrameReader(isMasked ? 'server' : 'client');
        const got: Buffer[] = [];
        let empties = 0;
        for (let at = 0, n = 0; at < wire.length; n += 1) {
          const end = at + (cuts[n % cuts.length] ?? 1);
          for (const part of reader.push(Buffer.from(wire.subarray(at, end)))) {
            empties += part.kind === 'empty' ? 1 : 0;
            got.push(part.kind === 'data' ? Buffer.from(part.bytes) : Buffer.alloc(0));
          }
          at = end;
        }
        assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
        assert.equal(empties, sent.filter(({ length }) => length === 0).length);
      }),
      { numRuns: 50 },
    );
  });

  for (const [what, bytes] of [
    ['a frame without a mask', [0x82, 0x01, 0x00]],
    ['a reserved bit', [0xc2, 0x81, 0, 0, 0, 0, 0]],
    ['an unknown opcode', [0x83, 0x81, 0, 0, 0, 0, 0]],
    ['a ping in pieces', [0x09, 0x80, 0, 0, 0, 0]],
    ['a ping that is too long', [0x89, 0xfe, 0, 200, 0, 0, 0, 0]],
    ['a length beyond reason', [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]],
  ] as const) {
    it(`FrameReader refuses ${what}`, () => {
      assert.throws(() => [...new FrameReader('server').push(Buffer.from(bytes))], FrameError);
    });
  }
});

interface Pair extends AsyncDisposable {
  readonly near: WebSocketStream;
  readonly far: WebSocketStream;
  readonly wires: readonly net.Socket[];
}

/** Two ends of one connection on loopback. */
async function connect(onHeard: () => void = () => undefined): Promise<Pair> {
  const server = await listenOnLoopback();
  const [dialled, socket] = await connectTo(server);
  const near = new WebSocketStream({ socket: dialled, head: Buffer.alloc(0), role: 'client' });
  const far = new WebSocketStream({ socket, head: Buffer.alloc(0), role: 'server', onHeard });
  near.on('error', () => undefined);
  far.on('error', () => undefined);
  return {
    near,
    far,
    wires: [dialled, socket],
    [Symbol.asyncDispose]: async () => {
      near.destroy();
      far.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function readAll(stream: WebSocketStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

describe('WebSocketStream', () => {
  it('WebSocketStream ends one direction alone, and the connection when both have ended', async () => {
    await using pair = await connect();
    const closed = Promise.all(pair.wires.map(async (wire) => wire.destroyed || (await once(wire, 'close'))));
    pair.near.end('question');
    assert.equal(String(await readAll(pair.far)), 'question');
    pair.far.write('an ');
    pair.far.end('answer');
    assert.equal(String(await readAll(pair.near)), 'an answer');
    await closed;
  });

  it('WebSocketStream carries large amounts both ways without a change', async () => {
    await using pair = await connect();
    const sent = Buffer.alloc(3_000_001, 'abcdefghijk');
    const echo = pipeline(pair.far, pair.far);
    pair.near.end(sent);
    assert.ok((await readAll(pair.near)).equals(sent));
    await echo;
  });

  it('WebSocketStream puts what is written together into as few frames as it takes, and leaves the writer its bytes', async () => {
    await using pair = await connect();
    const pieces = Array.from({ length: 99 }, (_, index) => Buffer.alloc(index * 31, index));
    const wire = pair.wires[1] ?? assert.fail();
    const frames: number[] = [];
    const reader = new FrameReader('server');
    wire.prependListener('data', (chunk: Buffer) => {
      for (const part of reader.push(Buffer.from(chunk))) {
        frames.push(part.kind === 'data' ? part.bytes.length : 0);
      }
    });
    pair.near.cork();
    pieces.forEach((piece) => pair.near.write(piece));
    pair.near.uncork();
    pair.near.end();
    const sent = Buffer.concat(pieces.map((_, index) => Buffer.alloc(index * 31, index)));
    assert.ok((await readAll(pair.far)).equals(sent));
    assert.ok(Buffer.concat(pieces).equals(sent), 'masking changed what is not its own');
    assert.ok(frames.length < 20, `${frames.length} pieces of frames`);
  });

  it('WebSocketStream takes no more from its connection than its reader takes', async () => {
    await using pair = await connect();
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    while (written < 64 * 1024 * 1024 && pair.near.write(chunk)) {
      written += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(pair.far.readableLength < 1024 * 1024, `${pair.far.readableLength} bytes are held`);
    assert.ok(written < 64 * 1024 * 1024, 'the writer was never stopped');
  });

  it('WebSocketStream answers a ping, and both ends hear of it', async () => {
    const heard = Promise.withResolvers<void>();
    await using pair = await connect(heard.resolve);
    const pong = once(pair.wires[0] ?? assert.fail(), 'data');
    pair.near.ping();
    await heard.promise;
    assert.equal(((await pong)[0] as Buffer)[0], 0x8a);
  });

  it('WebSocketStream tells the other end why it goes before the time, as far as that fits', async () => {
    for (const words of ['the server is stopping', 'ü'.repeat(200)]) {
      await using pair = await connect();
      const failed = once(pair.far, 'error');
      pair.near.destroy(new GoingAway(words));
      const error = (await failed)[0] as Error;
      assert.ok(error instanceof ClosedByPeer);
      assert.equal(error.message, words.slice(0, error.message.length));
      assert.ok(error.message.length > 20);
    }
  });

  it('WebSocketStream that is dropped in the middle is no end to the other side', async () => {
    await using pair = await connect();
    pair.near.write('half of it');
    await once(pair.far, 'readable');
    const failed = once(pair.far, 'error');
    pair.near.destroy();
    await failed;
    assert.equal(pair.far.readableEnded, false);
  });

  it('WebSocketStream fails where the connection is cut in the middle', async () => {
    await using pair = await connect();
    const failed = once(pair.far, 'error');
    pair.wires[0]?.destroy();
    assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  it('WebSocketStream fails where the connection is reset, though it has nothing to write', async () => {
    await using pair = await connect();
    const failed = once(pair.far, 'error');
    pair.wires[0]?.resetAndDestroy();
    assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  it('WebSocketStream ends with a peer that does not keep to the protocol, and tells it so', async () => {
    await using pair = await connect();
    const [failed, told] = [once(pair.far, 'error'), once(pair.near, 'error')];
    pair.wires[0]?.write(Buffer.from([0x82, 0x01, 0x00])); // a client masks
    assert.ok((await failed)[0] instanceof FrameError);
    assert.ok((await told)[0] instanceof ClosedByPeer);
  });
});

describe('acceptOf()', () => {
  it('acceptOf() answers the key of RFC 6455 as that does', () => {
    assert.equal(acceptOf('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
});
