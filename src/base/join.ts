/**
 * Joins two streams: what comes from one goes to the other, each direction with its own end.
 *
 * Never    lets a stream that was cut look like one that ended: TCP connections are reset then. So not by `pipeline`, which closes them.
 * Callers  agent/http/forward.ts, server/http/routes/reach.ts, ctl/commands/port-forward.ts
 */
import type { Duplex } from 'node:stream';
import { abortable } from './abortable.ts';

export interface Joined {
  readonly left: Duplex;
  readonly right: Duplex;
  /** what `left` is destroyed with when either was cut; default nothing */
  readonly explain?: (cause: unknown) => Error | undefined;
}

/** Resolves when both directions have ended. Where one side is cut, or the signal aborts, the other is cut too. @throws what it was cut by */
export async function join({ left, right, explain }: Joined, signal: AbortSignal): Promise<void> {
  const { finished } = process.getBuiltinModule('node:stream/promises');
  const ended = Promise.all([finished(left), finished(right)]);
  ended.catch(() => undefined); // the signal may have come first
  try {
    signal.throwIfAborted();
    left.pipe(right);
    right.pipe(left);
    await abortable(ended, signal);
    left.destroy();
    right.destroy();
  } catch (error) {
    for (const stream of [left, right]) {
      stream.on('error', ignore); // it may have one yet; that it is cut is known
    }
    cut(right);
    cut(left, explain?.(error));
    throw error;
  }
}

/** Ends a stream so that the other end sees that it was not its end. */
export function cut(stream: Duplex, reason?: Error): void {
  // not where an end was sent: libuv refuses then, and Node leaves the connection open for good (26.10)
  const canReset = reason === undefined && !stream.destroyed && !stream.writableEnded;
  if (canReset && 'resetAndDestroy' in stream && typeof stream.resetAndDestroy === 'function') {
    try {
      stream.resetAndDestroy();
      return;
    } catch {
      // no bare TCP connection: it cannot be reset
    }
  }
  stream.destroy(reason);
}

function ignore(): void {}
