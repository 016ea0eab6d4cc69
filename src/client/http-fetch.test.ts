import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
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

test('httpFetch() sends a body in chunks as the other side takes them, all of it', async () => {
  await using server = await serve((request, answer) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => answer.end(`${bytes} ${request.headers['content-length']}`));
  });
  let made = 0;
  async function* body(): AsyncGenerator<Uint8Array> {
    for (; made < 64; made += 1) {
      yield new Uint8Array(65_536);
    }
  }
  const answer = await httpFetch(server.url, { ...GET, method: 'POST', body: body(), signal: new AbortController().signal });
  assert.equal(await answer.text(), `${64 * 65_536} undefined`);
});

test('httpFetch() asks for no more chunks when the other side has answered already', { timeout: 4000 }, async () => {
  await using server = await serve((request, answer) => {
    request.once('data', () => answer.writeHead(413).end('too much'));
  });
  let isEnded = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yield new Uint8Array(65_536);
        await nextTurn(); // never so fast that the connection is what stops it
      }
    } finally {
      isEnded = true;
    }
  }
  const answer = await httpFetch(server.url, { ...GET, method: 'POST', body: endless(), signal: new AbortController().signal });
  assert.deepEqual([answer.status, await answer.text()], [413, 'too much']);
  while (!isEnded) {
    await nextTurn();
  }
});

test('httpFetch() ends a body in chunks with the signal, and rejects with what its maker throws', { timeout: 10_000 }, async () => {
  await using server = await serve((request) => void request.resume());
  const stopping = new AbortController();
  const reason = new Error('enough');
  const chunks = async function* (fault?: Error): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
    if (fault !== undefined) {
      throw fault;
    }
    stopping.abort(reason);
    yield new Uint8Array(1);
  };
  const fault = new Error('no more paper');
  await assert.rejects(httpFetch(server.url, { ...GET, method: 'POST', body: chunks(fault), signal: stopping.signal }), fault);
  await assert.rejects(httpFetch(server.url, { ...GET, method: 'POST', body: chunks(), signal: stopping.signal }), reason);
});

test('httpFetch() gives every byte of a disposable answer, and empties each chunk when the next is asked for', async () => {
  const sent = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 251));
  await using server = await serve((_, answer) => void answer.end(sent));
  const answer = await httpFetch(server.url, { ...GET, isDisposable: true, signal: new AbortController().signal });
  const chunks: Uint8Array[] = [];
  const copies: Buffer[] = [];
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk);
    copies.push(Buffer.from(chunk));
  }
  assert.ok(Buffer.concat(copies).equals(sent));
  assert.ok(chunks.filter(({ length }) => length === 0).length > 0.8 * chunks.length, chunks.map(({ length }) => length).join(' '));
});
