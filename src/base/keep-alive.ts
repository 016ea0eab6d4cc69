/**
 * Keep-alive: notices when the other end of a WebSocket has gone without a word, as when a machine is cut off.
 *
 * Both ends run it: each sends signs of life, and each judges by what it hears. One that takes nothing in, as whoever it reads for does not,
 * can hear nothing either, and is not cut for it: that the other end is held up is no fault of the line.
 * Callers  server/http/routes/reach.ts, client/transport.ts
 */
import type { Clock } from './clock.ts';
import type { WebSocketStream } from './web-socket.ts';
import { ConnectionLost } from './web-socket/end.ts';

const PING_MS = 4000;
const SILENCE_MS = 12_000; // with one round more: noticed within 16 s

/** Told of everything that comes. */
export interface Hearing {
  heardAtMs: number;
}

/** Lasts until the stream has ended, which it sees to when the other end falls silent, or the signal aborts. Never rejects. */
export async function keepAlive(stream: WebSocketStream, hearing: Hearing, clock: Clock, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  stream.once('close', () => ended.abort());
  const either = AbortSignal.any([signal, ended.signal]);
  let wokeAtMs = clock.monotonicMs();
  while (!stream.destroyed) {
    try {
      await clock.sleep(PING_MS, either);
    } catch {
      return;
    }
    const nowMs = clock.monotonicMs();
    const stoodStillMs = nowMs - wokeAtMs - PING_MS; // this process itself: what came meanwhile is not read yet
    wokeAtMs = nowMs;
    hearing.heardAtMs = stream.isHeldUp ? nowMs : hearing.heardAtMs + Math.max(0, stoodStillMs);
    if (nowMs - hearing.heardAtMs >= SILENCE_MS) {
      stream.destroy(new ConnectionLost());
      return;
    }
    stream.ping();
  }
}
