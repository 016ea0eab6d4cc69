import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { THROUGHPUT_PATH } from '../../src/api/node/throughput.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createNoise } from '../../src/base/noise.ts';
import { systemRandom } from '../../src/base/random.ts';
import { measureDownload, measureUpload } from '../../src/agent/host/measure-throughput.ts';
import { createThroughputMonitor } from '../../src/agent/host/throughput.ts';
import { createThroughputLink, type ThroughputLink } from '../../src/client/throughput-link.ts';
import { httpFetch } from '../../src/client/http-fetch.ts';
import { createTransport } from '../../src/client/transport.ts';
import { replyWithProblem } from '../../src/server/http/problem-reply.ts';
import { registerThroughput, throughputRoutes } from '../../src/server/http/routes/throughput.ts';
import { makeScratch } from '../support/scratch.ts';

const MIB = 1024 * 1024;
const log = pino({ level: 'silent' });
const never = new AbortController().signal;
const noise = createNoise(systemRandom);

let app: FastifyInstance;
let serverUrl: string;
let link: ThroughputLink;
/** what the server answered to uploads, oldest first */
let reports: string[] = [];

before(async () => {
  app = fastify({ bodyLimit: MIB });
  app.setErrorHandler((error, request, reply) => replyWithProblem(error, request, reply, log));
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method === 'POST') {
      reports.push(String(payload));
    }
    done();
  });
  registerThroughput(app, throughputRoutes({ clock: systemClock, random: systemRandom, stopSignal: never }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  serverUrl = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  link = connect(serverUrl);
});
after(async () => {
  app.server.closeAllConnections();
  await app.close();
});

function connect(url: string): ThroughputLink {
  return createThroughputLink(createTransport({ serverUrl: url, userAgent: 'test', clock: systemClock, fetch: httpFetch }));
}

describe('a throughput test against a real server', () => {
  test('measureDownload() and measureUpload() measure loopback, and the server confirms each byte', async () => {
    reports = [];
    const options = { link, noise, clock: systemClock, maxBytes: 8 * MIB, limitMs: 5000 };
    const [download, upload] = [await measureDownload(options, never), await measureUpload(options, never)];
    assert.ok(download !== undefined && upload !== undefined && download > 1e6 && upload > 1e6, `${download} ${upload}`);
    const received = reports.map((report) => (JSON.parse(report) as { readonly bytes: number }).bytes);
    assert.deepEqual(received, [65_536, MIB, 8 * MIB - MIB - 65_536]);
  });

  test('measureUpload() and measureDownload() reject with TooManyRequests when the server has no place', async () => {
    const holding = new AbortController();
    const held = await Promise.all([1, 2].map(() => link.download(16 * MIB, holding.signal)));
    assert.equal(held.length, 2);
    const options = { link, noise, clock: systemClock, maxBytes: MIB, limitMs: 5000 };
    await assert.rejects(measureDownload(options, never), { reason: 'TooManyRequests', retryAfterMs: 10_000 });
    await assert.rejects(measureUpload(options, never), { reason: 'TooManyRequests' });
    holding.abort();
    while (await link.upload(noise(1), never).catch(() => 'refused')) {
      // the server has not noticed yet
    }
  });

  test('the link says what is wrong with a server that is away, that knows no tests, or that is none', async () => {
    const closed = fastify();
    await closed.listen({ host: '127.0.0.1', port: 0 });
    const away = connect(`http://127.0.0.1:${(closed.server.address() as AddressInfo).port}`);
    await assert.rejects(away.download(1, never), { reason: 'NotFound' });
    await assert.rejects(away.upload(noise(1), never), { reason: 'NotFound' });
    await closed.close();
    await assert.rejects(away.download(1, never), { reason: 'Unavailable', message: /^Cannot reach the server/u });
    await assert.rejects(away.upload(noise(1), never), { reason: 'Unavailable', message: /^Cannot reach the server/u });
  });

  test('run() measures, writes it for people, and keeps it for the next start', async () => {
    using scratch = makeScratch();
    const stopping = new AbortController();
    const monitor = createThroughputMonitor({
      link,
      serverUrl,
      path: path.join(scratch.path, 'throughput.json'),
      spreadMs: 0, // the first test comes at once
      isBusy: () => false,
      clock: systemClock,
      random: systemRandom,
      log,
      maxBytes: MIB,
    });
    const running = monitor.run(stopping.signal).catch(() => undefined);
    monitor.serverAnswered();
    while (monitor.latest() === undefined) {
      await systemClock.sleep(5, never);
    }
    const { download, upload, lastTestTime } = monitor.latest() ?? {};
    assert.match(`${download}; ${upload}`, /^[0-9.]+ [kMG]bit\/s; [0-9.]+ [kMG]bit\/s$/u);
    assert.ok(Math.abs(Date.parse(String(lastTestTime)) - Date.now()) < 60_000);
    stopping.abort();
    await running;
    assert.ok((await fetch(`${serverUrl}${THROUGHPUT_PATH}?bytes=1`)).ok);
  });
});
