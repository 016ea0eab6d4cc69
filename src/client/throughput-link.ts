/** The two halves of a throughput test, as calls to the server. Every failure is an ApiError. */
import { THROUGHPUT_PATH } from '../api/node/throughput.ts';
import type { Transport } from './transport.ts';

export interface ThroughputLink {
  /** Resolves when the first byte can be read. A chunk is gone when the next is asked for. Leaving the iteration early ends the connection. @throws {ApiError} TooManyRequests */
  download(bytes: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Resolves when the server has received all of it. @throws {ApiError} TooManyRequests, PayloadTooLarge */
  upload(chunks: Iterable<Uint8Array>, signal: AbortSignal): Promise<void>;
}

export function createThroughputLink(transport: Transport): ThroughputLink {
  return {
    download: (bytes, signal) => transport.stream({ method: 'GET', path: `${THROUGHPUT_PATH}?bytes=${bytes}`, isDisposable: true }, signal),
    upload: async (chunks, signal) => {
      const body = { chunks: oneByOne(chunks), contentType: 'application/octet-stream' };
      await transport.request({ method: 'POST', path: THROUGHPUT_PATH, ...body }, signal);
    },
  };
}

/** Asynchronous, as no `fetch` takes another iterable for a body; it asks for the next chunk when the socket has taken the last. */
async function* oneByOne(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
