/** Live streams: a watch that is read until it ends, and given up when nothing was heard of it for too long. Callers: assignment-watcher.ts, ../volumes/volume-deleter.ts. */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';

const SILENCE_MS = 90_000; // the server sends a bookmark about every 30 s: after three missed ones the stream is dead

export interface LiveStream<Item> {
  readonly open: (signal: AbortSignal) => AsyncIterable<Item>;
  /** the next is read when it has resolved */
  readonly onItem: (item: Item) => void | Promise<void>;
  /** completes "Cannot go on watching ..." */
  readonly what: string;
}

/** Reads until the stream ends. @throws {ApiError} also when nothing was heard for too long */
export async function readLive<Item>({ open, onItem, what }: LiveStream<Item>, clock: Clock, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  let heardAtMs = clock.monotonicMs();
  const read = async (): Promise<void> => {
    try {
      for await (const item of open(both)) {
        heardAtMs = Infinity; // not while we are at work
        await onItem(item);
        heardAtMs = clock.monotonicMs();
      }
    } finally {
      ended.abort();
    }
  };
  const guard = async (): Promise<void> => {
    for (let leftMs = SILENCE_MS; leftMs > 0; leftMs = Math.min(SILENCE_MS, heardAtMs + SILENCE_MS - clock.monotonicMs())) {
      try {
        await clock.sleep(leftMs, both);
      } catch {
        return; // the stream ended by itself
      }
    }
    ended.abort(new ApiError('Unavailable', `Cannot go on watching ${what} as nothing was heard for ${SILENCE_MS / 1000} s`));
  };
  await Promise.all([read(), guard()]);
}
