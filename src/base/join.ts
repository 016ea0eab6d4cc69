/**
 * Joins two streams: what comes from one goes to the other, each direction with its own end.
 *
 * Never    lets a stream that was cut look like one that ended: TCP connections are reset then. So not by `pipeline`, which closes them.
 * Callers  agent/http/forward.ts, server/http/routes/reach.ts, agent/http/upgrade.ts, ctl/reach/forwarder.ts
 */
import type { Duplex } from 'node:stream';
import { abortable } from './abortable.ts';
import { freeBuffer } from './free-buffer.ts';
import { WebSocketStream } from './web-socket.ts';

const MAX_WAITING_BYTES = 256 * 1024; // in one direction; more than a chunk, so that the next is read while one is on its way

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
    pump(left, right);
    pump(right, left);
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

/** Hands on what comes, and its end. The chunks are the stream's alone, so that their memory is given back as soon as they are written. */
function pump(from: Duplex, to: Duplex): void {
  if (to instanceof WebSocketStream) {
    to.ownWrites();
  }
  // an HTTP/2 stream may look at a chunk for longer than it says
  const isBare = to instanceof WebSocketStream || 'setNoDelay' in to;
  let isHeldUp = false;
  from.on('data', (chunk: Buffer) => {
    to.write(chunk, () => {
      if (isBare) {
        freeBuffer(chunk);
      }
      if (isHeldUp && to.writableLength < MAX_WAITING_BYTES) {
        isHeldUp = false;
        from.resume();
      }
    });
    if (!isHeldUp && to.writableLength >= MAX_WAITING_BYTES) {
      isHeldUp = true;
      from.pause();
    }
  });
  from.once('end', () => to.end());
  from.resume();
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
