import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { httpFetch } from './http-fetch.ts';

async function serve(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const GET = { method: 'GET', headers: {}, redirect: 'error' } as const;

test('httpFetch() sends method, headers and body, and gives status, headers and text', async () => {
  await using server = await serve((request, answer) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      answer.writeHead(201, { 'X-Two': ['a', 'b'] });
      answer.end(`${request.method} ${request.headers['content-length']} ${body}`);
    });
  });
  const { signal } = new AbortController();
  const answer = await httpFetch(server.url, { ...GET, method: 'PATCH', body: '{"a":"é"}', signal });
  assert.deepEqual([answer.ok, answer.status, answer.headers.get('x-two'), answer.headers.get('x-none')], [true, 201, 'a, b', null]);
  assert.equal(await answer.text(), 'PATCH 10 {"a":"é"}');
});

test('httpFetch() rejects with the code of the socket, and after an abort with its reason, in the body too', async () => {
  await using server = await serve((_, answer) => {
    answer.write('first');
  });
  await assert.rejects(httpFetch('http://127.0.0.1:9/', { ...GET, signal: new AbortController().signal }), { code: 'ECONNREFUSED' });
  const stopped = new AbortController();
  const answer = await httpFetch(server.url, { ...GET, signal: stopped.signal });
  const reason = new Error('enough');
  setImmediate(() => stopped.abort(reason));
  await assert.rejects(answer.text(), reason);
  await assert.rejects(httpFetch(server.url, { ...GET, signal: stopped.signal }), reason);
});

test('httpFetch() rejects when the connection is cut in the middle', async () => {
  await using server = await serve((_, answer) => {
    answer.write('first');
    setImmediate(() => answer.destroy());
  });
  const answer = await httpFetch(server.url, { ...GET, signal: new AbortController().signal });
  await assert.rejects(answer.text(), { code: 'ECONNRESET' });
});
