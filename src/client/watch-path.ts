/** A watch as the API's paths give it. Callers: cara-client.ts, event-client.ts. */
import type { WatchEvent } from '../api/watch-event.ts';
import { toFailure } from './network-failure.ts';
import type { Transport } from './transport.ts';
import { readWatchStream } from './watch-stream.ts';

/** @param path with its query, `watch=true` included @throws {ApiError} Expired and the like; Unavailable when the connection is cut */
export async function* watchPath<Item>(transport: Transport, path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<Item>> {
  const stream = await transport.stream({ method: 'GET', path }, signal);
  try {
    yield* readWatchStream<Item>(stream);
  } catch (error) {
    throw toFailure(error, { serverUrl: transport.serverUrl, timeoutMs: 0, signal }); // a connection that is cut fails in the reading
  }
}
