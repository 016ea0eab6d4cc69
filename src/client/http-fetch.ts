/**
 * `fetch` on node:http, as far as the transport needs it, for programs that must start fast.
 *
 * Measured, whole process with one GET: 27 ms of CPU against 57 with the global fetch. It is got by `getBuiltinModule`, as an `import`
 * of node:http reads all its exports and with WebSocket loads all of undici, the very thing to avoid (50 ms; Node 26.10).
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { freeBuffer } from '../base/free-buffer.ts';
import type { FetchAnswer, FetchFunction, FetchRequest } from './transport.ts';
import type { TlsRequestOptions, Trust } from './trust.ts';

/** Believes of servers what Node does. */
export const httpFetch: FetchFunction = (url, request) => send(url, request, {});

/** Asks only servers that `trust` lets pass. */
export function createHttpFetch(trust: Trust): FetchFunction {
  return async (url, request) => {
    const tls = await trust.optionsFor(url, request.signal);
    try {
      return await send(url, request, tls);
    } catch (error) {
      throw trust.explain(error, url);
    }
  };
}

function send(url: string, { method, headers, body, signal, ...rest }: FetchRequest, tls: TlsRequestOptions): Promise<FetchAnswer> {
  const isDisposable = rest.isDisposable === true;
  const { promise, resolve, reject } = Promise.withResolvers<FetchAnswer>();
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const sent = request(url, {
    ...tls,
    method,
    headers: { ...headers, ...(typeof body === 'string' && { 'content-length': String(Buffer.byteLength(body)) }) },
    signal,
    ...(isDisposable && { agent: false }), // a connection of its own: what is done to it outlives no request
  });
  sent.on('error', (error) => reject(reasonOf(error, signal)));
  sent.on('response', (received) => resolve(toAnswer(received, { signal, isDisposable })));
  if (isDisposable) {
    sent.on('socket', (socket) => socket.on('data', freeBuffer)); // after the parser, which copies out of it
  }
  if (typeof body === 'object') {
    sendChunks(body, sent).catch((error: unknown) => reject(reasonOf(error, signal)));
  } else {
    sent.end(body);
  }
  return promise;
}

/** @throws what the maker of the chunks throws, or what is wrong with the connection; then nothing more is sent */
async function sendChunks(chunks: AsyncIterable<Uint8Array>, sent: ClientRequest): Promise<void> {
  // a server that answers before it has all of it wants no more
  sent.on('response', (received) => received.on('end', () => sent.writableFinished || sent.destroy()));
  await process.getBuiltinModule('node:stream/promises').pipeline(chunks, sent);
}

interface Reading {
  readonly signal: AbortSignal;
  readonly isDisposable: boolean;
}

function toAnswer(received: IncomingMessage, reading: Reading): FetchAnswer {
  const status = received.statusCode ?? 0;
  return {
    ok: status >= 200 && status < 300,
    status,
    headers: { get: (name) => [received.headers[name.toLowerCase()] ?? []].flat().join(', ') || null },
    body: read(received, reading),
    text: async () => {
      const decoder = new TextDecoder();
      let text = '';
      for await (const chunk of read(received, reading)) {
        text += decoder.decode(chunk, { stream: true });
      }
      return text + decoder.decode();
    },
  };
}

async function* read(received: IncomingMessage, { signal, isDisposable }: Reading): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of received.iterator({ destroyOnReturn: true }) as AsyncIterable<Uint8Array>) {
      yield chunk;
      if (isDisposable) {
        freeBuffer(chunk);
      }
    }
  } catch (error) {
    throw reasonOf(error, signal);
  }
}

/** As `fetch` does: after an abort the signal's reason, whatever the socket said. */
function reasonOf(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? signal.reason : error;
}
