import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import type { HttpGet } from '../../api/project/health-check.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { sleepAwake } from './awake.ts';
import { runProbe, type ProbeResult } from './probe.ts';

const { signal } = new AbortController();

async function listening(server: Server): Promise<{ readonly port: number; [Symbol.asyncDispose](): Promise<void> }> {
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => void server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close };
}

interface Wish extends Omit<HttpGet, 'port'> {
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

async function getFrom(listener: RequestListener, { timeoutMs = 20_000, clock = systemClock, ...check }: Wish = {}): Promise<ProbeResult> {
  await using server = await listening(createServer(listener));
  const result = await runProbe({ target: { httpGet: { ...check, port: server.port } }, address: '127.0.0.1', timeoutMs, clock }, signal);
  return { ...result, output: result.output.replaceAll(`:${server.port}`, ':PORT') };
}

test('runProbe() passes any status from 200 to 399, or the one asked for', async () => {
  for (const [status, wish, hasPassed] of [
    [200, {}, true],
    [204, {}, true],
    [301, {}, true],
    [399, {}, true],
    [404, {}, false],
    [500, {}, false],
    [404, { status: 404 }, true],
    [200, { status: 204 }, false],
  ] as const) {
    const result = await getFrom((_request, response) => response.writeHead(status, { location: '/elsewhere' }).end(), wish);
    assert.equal(result.hasPassed, hasPassed, `${status} ${JSON.stringify(wish)}: ${result.output}`);
  }
});

test('runProbe() asks once, with the path and headers given, and follows no redirect', async () => {
  const seen: (string | undefined)[] = [];
  const httpHeaders = [
    { name: 'Host', value: 'shop.example' },
    { name: 'X-Probe', value: '1' },
  ];
  const result = await getFrom(
    (request, response) => {
      seen.push(request.method, request.url, request.headers.host, request.headers['x-probe'] as string);
      response.writeHead(302, { location: '/login' }).end();
    },
    { path: '/ready?full=1', httpHeaders },
  );
  assert.deepEqual(seen, ['GET', '/ready?full=1', 'shop.example', '1']);
  assert.deepEqual(result, { hasPassed: true, output: 'GET http://127.0.0.1:PORT/ready?full=1 answered 302 Found' });
});

test('runProbe() tells how it failed, with the beginning of the body in one line', async () => {
  const result = await getFrom((_request, response) => response.writeHead(503).end(' warming\n  up '));
  assert.equal(result.output, 'GET http://127.0.0.1:PORT/ answered 503 Service Unavailable: warming up');
});

test('runProbe() tells of a page what a person would read of it', async () => {
  const page = '<!doctype html><title>Down</title><style>\n a { color: red }</style><p class="x">for <b>repair</b></p><script>let a';
  const { output } = await getFrom((_request, response) => response.writeHead(503, { 'content-type': 'text/html' }).end(page));
  assert.match(output, /answered 503 Service Unavailable: Down for repair$/u);
});

test('runProbe() reads no more of an endless body than it shows', async () => {
  const result = await getFrom((_request, response) => {
    response.writeHead(500);
    const pour = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', pour);
    pour();
  });
  assert.ok(result.output.length < 2000);
});

test('runProbe() of what accepts and never answers fails at its time limit', async () => {
  const clock = new VirtualClock();
  await using server = await listening(createTcpServer(() => undefined));
  const asked = runProbe({ target: { httpGet: { port: server.port } }, address: '127.0.0.1', timeoutMs: 3000, clock }, signal);
  let result: ProbeResult | undefined;
  void asked.then((ended) => (result = ended));
  await clock.advanceUntil(() => result !== undefined, 5000);
  assert.equal(result?.hasPassed, false);
  assert.match(result.output, /^GET http:\/\/127\.0\.0\.1:\d+\/ did not end within 3000 ms$/u);
  assert.equal(clock.sleepers, 0);
});

test('runProbe() of a TCP port passes when it accepts, and names a refusal', async () => {
  let port: number;
  {
    await using server = await listening(createTcpServer((socket) => socket.end()));
    port = server.port;
    const target = { tcpSocket: { port } };
    assert.equal((await runProbe({ target, address: '127.0.0.1', timeoutMs: 20_000, clock: systemClock }, signal)).hasPassed, true);
  }
  const target = { tcpSocket: { port } };
  const result = await runProbe({ target, address: '127.0.0.1', timeoutMs: 20_000, clock: systemClock }, signal);
  assert.deepEqual(result, { hasPassed: false, output: `Connecting to 127.0.0.1:${port} failed: connection refused` });
});

test('runProbe() takes what is no HTTP for a failure', async () => {
  await using server = await listening(createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')));
  const target = { httpGet: { port: server.port } };
  const result = await runProbe({ target, address: '127.0.0.1', timeoutMs: 20_000, clock: systemClock }, signal);
  assert.equal(result.hasPassed, false);
});

test('runProbe() ends when it is told to, with the reason', async () => {
  await using server = await listening(createTcpServer(() => undefined));
  const controller = new AbortController();
  const options = { target: { httpGet: { port: server.port } }, address: '127.0.0.1', timeoutMs: 20_000, clock: systemClock };
  const asked = runProbe(options, controller.signal);
  controller.abort(new Error('gone'));
  await assert.rejects(asked, /gone/u);
});

test('sleepAwake() does not count time in which the process was stopped', async () => {
  const clock = new VirtualClock();
  let isOver = false;
  void sleepAwake(clock, 1000, signal).then(() => (isOver = true));
  await clock.advance(450);
  clock.stall(3_600_000);
  await clock.advance(450);
  assert.equal(isOver, false);
  await clock.advance(200);
  assert.equal(isOver, true);
});
