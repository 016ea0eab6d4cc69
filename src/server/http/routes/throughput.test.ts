import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { MAX_THROUGHPUT_BYTES, THROUGHPUT_PATH } from '../../../api/node/throughput.ts';
import { systemRandom } from '../../../base/random.ts';
import { VirtualClock } from '../../../../test/support/time/virtual-clock.ts';
import { replyWithProblem } from '../problem-reply.ts';
import { registerThroughput, throughputRoutes } from './throughput.ts';

const KIB = 1024;
const BINARY = { 'content-type': 'application/octet-stream' };

interface World extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly clock: VirtualClock;
  readonly stopping: AbortController;
  readonly url: string;
  /** the server's, oldest first */
  readonly sockets: readonly Socket[];
  /** messages at level error: there must be none for what comes from outside */
  readonly errors: readonly string[];
}

/** A Fastify of its own with the limit of the real app, listening. */
async function startWorld(): Promise<World> {
  const clock = new VirtualClock();
  const stopping = new AbortController();
  const errors: string[] = [];
  const sockets: Socket[] = [];
  const log = pino({ level: 'error' }, { write: (line) => void errors.push(line) });
  const app = fastify({ bodyLimit: 1024 * KIB });
  app.setErrorHandler((error, request, reply) => replyWithProblem(error, request, reply, log));
  registerThroughput(app, throughputRoutes({ clock, random: systemRandom, stopSignal: stopping.signal }));
  app.post('/api/v1/other', (request) => ({ length: JSON.stringify(request.body).length }));
  app.server.on('connection', (socket) => sockets.push(socket));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  return {
    app,
    clock,
    stopping,
    url,
    sockets,
    errors,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

/** Opens a download as soon as there is a place, and reads nothing of it. */
async function openDownload(world: World): Promise<IncomingMessage> {
  const request = http.get(`${world.url}${THROUGHPUT_PATH}?bytes=${MAX_THROUGHPUT_BYTES}`, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined); // cut by the test or by the server
  if (response.statusCode === 200) {
    return response;
  }
  response.resume();
  return openDownload(world);
}

/** Begins an upload of unknown length with 1 KiB; there must be a place. Resolves when the server has begun to read. */
async function openUpload(world: World): Promise<ClientRequest> {
  const headers = { ...BINARY, expect: '100-continue' };
  const request = http.request(`${world.url}${THROUGHPUT_PATH}`, { method: 'POST', agent: false, headers });
  request.on('error', () => undefined);
  request.flushHeaders();
  await once(request, 'continue');
  request.write(Buffer.alloc(KIB));
  return request;
}

/** Resolves when the connection has ended, whatever it ended with. */
function closeOf(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => request.once('close', resolve));
}

const upload = (world: World, bytes: number): Promise<Response> =>
  fetch(`${world.url}${THROUGHPUT_PATH}`, { method: 'POST', headers: BINARY, body: Buffer.alloc(bytes) });

async function status(response: Response): Promise<number> {
  await response.arrayBuffer();
  return response.status;
}

/** Asks again and again until a place is free, and leaves it free. */
async function untilFree(world: World): Promise<void> {
  while ((await status(await upload(world, 1))) === 429) {
    await nextTurn();
  }
}

describe('GET /api/v1/throughput', () => {
  test('GET streams exactly the bytes asked for, 1 MiB by default, that nothing can make smaller and nobody may keep', async () => {
    await using world = await startWorld();
    for (const [query, bytes] of [
      ['?bytes=1', 1],
      ['?bytes=300000', 300_000],
      ['', 1_048_576],
      [`?bytes=${MAX_THROUGHPUT_BYTES}`, MAX_THROUGHPUT_BYTES],
    ] as const) {
      const response = await fetch(`${world.url}${THROUGHPUT_PATH}${query}`);
      const body = Buffer.from(await response.arrayBuffer());
      assert.deepEqual([response.status, body.length, response.headers.get('content-length')], [200, bytes, String(bytes)]);
      assert.equal(response.headers.get('cache-control'), 'no-store, no-transform');
      assert.ok(bytes < KIB || gzipSync(body.subarray(0, 512 * KIB)).length > Math.min(bytes, 512 * KIB) * 0.99);
    }
  });

  test('GET refuses more than 16 MiB, nothing, and what is no number', async () => {
    await using world = await startWorld();
    for (const query of [
      `bytes=${MAX_THROUGHPUT_BYTES + 1}`,
      'bytes=0',
      'bytes=-1',
      'bytes=banana',
      'bytes=1.5',
      'size=3',
      'bytes=1&bytes=2',
    ]) {
      const answer = await world.app.inject(`${THROUGHPUT_PATH}?${query}`);
      assert.equal(answer.statusCode, 400, query);
      assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
    }
  });

  test('GET makes no more than the connection takes', async () => {
    await using world = await startWorld();
    const response = await openDownload(world);
    const [socket] = world.sockets;
    let before = -1;
    // what the kernel buffers and what Node holds back is all that leaves the generator
    while (socket !== undefined && before !== socket.bytesWritten) {
      before = socket.bytesWritten;
      await nextTurn();
    }
    assert.ok(before < MAX_THROUGHPUT_BYTES / 2, `${before} bytes were made`);
    response.destroy();
  });

  test('HEAD answers without a body, and needs no place', async () => {
    await using world = await startWorld();
    const taken = [await openDownload(world), await openUpload(world)];
    const response = await fetch(`${world.url}${THROUGHPUT_PATH}?bytes=5000`, { method: 'HEAD' });
    assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], [200, 0]);
    taken.forEach((stream) => stream.destroy());
  });
});

describe('POST /api/v1/throughput', () => {
  test('POST swallows 16 MiB and tells how many bytes came', async () => {
    await using world = await startWorld();
    for (const bytes of [0, 1, MAX_THROUGHPUT_BYTES]) {
      const response = await upload(world, bytes);
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { bytes, ms: 0 }); // virtual time stands still
    }
  });

  test('POST tells the time from the first byte to the last', async () => {
    await using world = await startWorld();
    const request = await openUpload(world);
    const [socket] = world.sockets;
    while (socket !== undefined && socket.bytesRead < KIB) {
      await nextTurn();
    }
    await world.clock.advance(1250);
    request.end(Buffer.alloc(KIB));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.deepEqual(JSON.parse(String(await response.toArray())), { bytes: 2 * KIB, ms: 1250 });
  });

  test('POST refuses more than 16 MiB before it has come, and ends the connection', async () => {
    await using world = await startWorld();
    const headers = { ...BINARY, 'content-length': MAX_THROUGHPUT_BYTES + 1 };
    const request = http.request(`${world.url}${THROUGHPUT_PATH}`, { method: 'POST', agent: false, headers });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    request.flushHeaders();
    const [response] = await answered;
    const problem = JSON.parse(String(await response.toArray())) as { readonly reason: string; readonly detail: string };
    assert.deepEqual([response.statusCode, response.headers.connection, problem.reason], [413, 'close', 'PayloadTooLarge']);
    assert.match(problem.detail, /larger than 16 MiB/u);
    await untilFree(world);
  });

  test('POST refuses more than 16 MiB that nobody announced, and reads no more of it than that', async () => {
    await using world = await startWorld();
    const chunk = Buffer.alloc(1024 * KIB);
    let made = 0;
    const body = Readable.from(
      (function* () {
        for (; made < 100 * chunk.length; made += chunk.length) {
          yield chunk;
        }
      })(),
    );
    // not through a socket: the reset that follows may overtake the answer
    const answer = await world.app.inject({ method: 'POST', url: THROUGHPUT_PATH, headers: BINARY, payload: body });
    assert.deepEqual([answer.statusCode, answer.headers.connection, answer.json().reason], [413, 'close', 'PayloadTooLarge']);
    assert.ok(made < 2 * MAX_THROUGHPUT_BYTES, `${made} bytes were read`);
  });

  test('POST takes application/octet-stream alone', async () => {
    await using world = await startWorld();
    for (const type of ['application/json', 'text/plain', 'multipart/form-data']) {
      const answer = await world.app.inject({ method: 'POST', url: THROUGHPUT_PATH, headers: { 'content-type': type }, payload: '{}' });
      assert.equal(answer.statusCode, 415, type);
    }
  });

  test('POST leaves the limit of every other route as it was', async () => {
    await using world = await startWorld();
    const post = (payload: string): Promise<{ readonly statusCode: number }> =>
      world.app.inject({ method: 'POST', url: '/api/v1/other', headers: { 'content-type': 'application/json' }, payload });
    assert.equal((await post(JSON.stringify('x'.repeat(1000 * KIB)))).statusCode, 200);
    assert.equal((await post(JSON.stringify('x'.repeat(1100 * KIB)))).statusCode, 413);
  });
});

describe('places', () => {
  test('a third test at once gets 429 and Retry-After, and a place is free again as soon as one ends', async () => {
    await using world = await startWorld();
    const first = await openDownload(world);
    const second = await openUpload(world);
    for (const refused of [await upload(world, 1), await fetch(`${world.url}${THROUGHPUT_PATH}`)]) {
      const problem = (await refused.json()) as { readonly reason: string };
      assert.deepEqual([refused.status, refused.headers.get('retry-after'), problem.reason], [429, '10', 'TooManyRequests']);
    }
    second.end();
    await untilFree(world);
    first.destroy();
    assert.deepEqual(world.errors, []);
  });

  test('a client that goes away in the midst gives its place back, and is no failure of the server', async () => {
    await using world = await startWorld();
    for (let round = 0; round < 4; round += 1) {
      const download = await openDownload(world);
      await untilFree(world);
      const sending = await openUpload(world);
      assert.equal(await status(await upload(world, 1)), 429);
      download.destroy();
      sending.destroy();
    }
    assert.deepEqual(world.errors, []);
  });

  test('a client that neither reads nor sends is cut off after 15 s', async () => {
    await using world = await startWorld();
    const download = await openDownload(world);
    const sending = await openUpload(world);
    const closed = closeOf(sending);
    await world.clock.advance(14_999);
    assert.equal(await status(await upload(world, 1)), 429);
    await world.clock.advance(1);
    await closed;
    await untilFree(world);
    const again = await openUpload(world);
    await untilFree(world); // so the download's is free as well
    again.destroy();
    await assert.rejects(download.toArray(), { code: 'ECONNRESET' });
    assert.deepEqual(world.errors, []);
  });

  test('a server that stops ends the tests under way', async () => {
    await using world = await startWorld();
    const download = await openDownload(world);
    const sending = await openUpload(world);
    const closed = closeOf(sending);
    world.stopping.abort();
    await closed;
    await assert.rejects(download.toArray(), { code: 'ECONNRESET' });
  });
});
