/** The two halves of a throughput test, as calls to the server. Every failure is an ApiError. */
import { fromProblem } from '../api/errors.ts';
import { THROUGHPUT_PATH } from '../api/throughput.ts';
import { toFailure, type Transport } from './transport.ts';

export interface ThroughputLink {
  /** Resolves when the first byte can be read. Leaving the iteration early ends the connection. @throws {ApiError} TooManyRequests */
  download(bytes: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Resolves when the server has received all of it. @throws {ApiError} TooManyRequests, PayloadTooLarge */
  upload(chunks: Iterable<Uint8Array>, signal: AbortSignal): Promise<void>;
}

export interface ThroughputLinkOptions {
  /** with a time limit of its own for the first byte */
  readonly transport: Transport;
  /** sent with an upload, such as User-Agent and Authorization */
  readonly headers?: Readonly<Record<string, string>>;
  /** default: the global one. The transport's carries text alone, and an upload must not lie in memory as a whole. */
  readonly fetch?: typeof globalThis.fetch;
}

export function createThroughputLink({ transport, headers, fetch = globalThis.fetch }: ThroughputLinkOptions): ThroughputLink {
  const { serverUrl } = transport;
  return {
    download: (bytes, signal) => transport.stream({ method: 'GET', path: `${THROUGHPUT_PATH}?bytes=${bytes}` }, signal),
    upload: async (chunks, signal) => {
      try {
        const response = await fetch(`${serverUrl}${THROUGHPUT_PATH}`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/octet-stream' },
          body: toStream(chunks),
          duplex: 'half',
          redirect: 'error',
          signal,
        });
        const text = await response.text();
        if (!response.ok) {
          throw fromProblem(response.status, parse(text));
        }
      } catch (error) {
        throw toFailure(error, { serverUrl, timeoutMs: 0, signal });
      }
    },
  };
}

/** Asynchronous, as `fetch` takes no other iterable for a body; it asks for the next chunk when the socket has taken the last. */
async function* toStream(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a proxy's page: the status alone speaks
  }
}
