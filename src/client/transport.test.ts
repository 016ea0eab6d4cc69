import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../api/errors.ts';
import { VirtualClock } from '../../test/support/time/virtual-clock.ts';
import { systemClock } from '../base/clock.ts';
import { createTransport, type FetchFunction } from './transport.ts';

async function failureOf(fetch: FetchFunction): Promise<ApiError> {
  const transport = createTransport({ serverUrl: 'https://cara:8080', userAgent: 'test', clock: systemClock, fetch });
  const error: unknown = await transport.request({ method: 'GET', path: '/api/v1/nodes' }, new AbortController().signal).catch((e) => e);
  assert.ok(error instanceof ApiError);
  return error;
}

test('request() says of an answer that explains nothing that another program may have given it', async () => {
  const { message, reason } = await failureOf(async () => await Promise.resolve(new Response('<h1>Not found</h1>', { status: 404 })));
  assert.equal(reason, 'NotFound');
  assert.match(message, /^https:\/\/cara:8080 answered HTTP 404 without saying why: a proxy, or another program than cara-server/u);
});

test('request() takes the words of a problem', async () => {
  const { message } = await failureOf(async () => await Promise.resolve(Response.json({ detail: 'Cannot do it' }, { status: 409 })));
  assert.equal(message, 'Cannot do it');
});

test('request() says in words that the other end does not speak TLS', async () => {
  const cause = Object.assign(new Error('write EPROTO 40E3:error:0A00010B:SSL routines:wrong version number'), { code: 'EPROTO' });
  const { message } = await failureOf(async () => await Promise.reject(new TypeError('fetch failed', { cause })));
  assert.equal(message, 'Cannot reach the server at https://cara:8080 as it does not speak TLS: is http:// meant?');
});

test('request() waits as long as it is told to where it was one too many, and is sent again, for as long as it has patience', async () => {
  const clock = new VirtualClock();
  let asked = 0;
  const fetch: FetchFunction = () => {
    asked += 1;
    const refusal = Response.json({ detail: 'Too many' }, { status: 429, headers: { 'retry-after': '4' } });
    return Promise.resolve(clock.monotonicMs() < 8000 ? refusal : Response.json({}));
  };
  const send = (patienceMs?: number): Promise<unknown> =>
    createTransport({ serverUrl: 'https://cara:8080', userAgent: 'test', clock, fetch, ...(patienceMs !== undefined && { patienceMs }) })
      .request({ method: 'POST', path: '/x', body: {} }, new AbortController().signal)
      .catch((error: unknown) => (error as ApiError).message);
  assert.equal(await send(), 'Too many');
  const [hasty, patient] = [send(5000), send(15_000)];
  await clock.advance(10_000);
  assert.equal(await hasty, 'Too many');
  assert.deepEqual([((await patient) as { readonly status: number }).status, asked], [200, 1 + 2 + 3]);
});

test('request() gives the reason of its caller, whatever failed at the same moment', async () => {
  const stop = new AbortController();
  const fetch: FetchFunction = async () => {
    stop.abort(new ApiError('Unavailable', 'Nothing was heard'));
    return await Promise.reject(new DOMException('Timed out', 'TimeoutError'));
  };
  const transport = createTransport({ serverUrl: 'http://cara:8080', userAgent: 'test', clock: systemClock, fetch });
  await assert.rejects(transport.request({ method: 'GET', path: '/' }, stop.signal), /Nothing was heard/u);
});

test('request() of a list of servers goes on at another where one cannot have taken it in, and stays there', async () => {
  const asked: string[] = [];
  const refused = (): Promise<never> =>
    Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) }));
  const fetch: FetchFunction = (url) => {
    asked.push(new URL(url).host);
    return url.startsWith('http://a') ? refused() : Promise.resolve(Response.json({}));
  };
  const transport = createTransport({ serverUrl: 'http://a:1,http://b:2/', userAgent: 'test', clock: systemClock, fetch });
  const signal = new AbortController().signal;
  await transport.request({ method: 'POST', path: '/x', body: {} }, signal);
  await transport.request({ method: 'POST', path: '/x', body: {} }, signal);
  assert.deepEqual([asked, transport.serverUrl], [['a:1', 'b:2', 'b:2'], 'http://b:2']);
});

test('request() of a list of servers repeats no write that one may have taken in, and asks another the next time', async () => {
  const asked: string[] = [];
  const fetch: FetchFunction = (url) => {
    asked.push(new URL(url).host);
    return asked.length === 1 ? Promise.reject(new DOMException('late', 'TimeoutError')) : Promise.resolve(Response.json({}));
  };
  const transport = createTransport({ serverUrl: 'http://a:1,http://b:2', userAgent: 'test', clock: systemClock, fetch });
  const signal = new AbortController().signal;
  await assert.rejects(transport.request({ method: 'POST', path: '/x', body: {} }, signal), /did not answer/u);
  assert.deepEqual(asked, ['a:1']);
  await transport.request({ method: 'GET', path: '/x' }, signal);
  assert.deepEqual(asked, ['a:1', 'b:2']);
});
