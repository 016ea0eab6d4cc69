/**
 * Tunnel: the agent's own connection to the server, over which the server reaches the agent where it cannot dial it.
 *
 * Owns     one connection at a time, its pings, and the back-off between attempts.
 * Never    decides whether it is needed: an idle one costs a ping every four seconds, and one that had to be asked for would not be there
 *          when somebody asks. HTTP/2 is loaded when the first bytes come.
 * Callers  compose/link.ts runs it.
 */
import { ApiError } from '../../api/errors.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { TUNNEL_PING_MS, TUNNEL_SILENCE_MS } from '../../base/tunnel-settings.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { WebSocketStream } from '../../base/web-socket.ts';
import type { AgentAccess } from '../http/access.ts';
import { Outage } from '../outage.ts';

const BACKOFF = { baseMs: 500, capMs: 15_000 }; // full jitter: a fleet whose server restarts is back within seconds, spread
const UNWELCOME_BACKOFF = { baseMs: 15_000, capMs: 60_000 }; // the record is gone, or another machine holds the name
const PROVEN_MS = 10_000; // a connection that lasted so long was a good one: the next attempt begins anew

/** Opens the WebSocket to the server. @throws {ApiError} what the server answers instead; Unavailable when it cannot be reached */
export type DialTunnel = (
  options: { readonly credential: string; readonly onHeard: () => void },
  signal: AbortSignal,
) => Promise<WebSocketStream>;

export interface TunnelOptions {
  readonly dial: DialTunnel;
  readonly access: Pick<AgentAccess, 'credential'>;
  /** notified after each registration */
  readonly registered: Wakeup;
  /** called when the server does not know the credential any more, as after it was restored from a backup */
  readonly onUnknownCredential: (signal: AbortSignal) => Promise<void>;
  /** serves what comes; called at the first bytes of a connection */
  readonly serve: (connection: WebSocketStream) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Tunnel {
  run(signal: AbortSignal): Promise<void>;
}

export function createTunnel(options: TunnelOptions): Tunnel {
  const { dial, access, registered, onUnknownCredential, serve, clock, random, log } = options;
  const backoff = new Backoff(BACKOFF, random);
  const unwelcomeBackoff = new Backoff(UNWELCOME_BACKOFF, random);
  const outage = new Outage(log, clock, 'tunnel');

  async function connectOnce(credential: string, signal: AbortSignal): Promise<void> {
    let heardAtMs = clock.monotonicMs();
    const connection = await dial({ credential, onHeard: () => (heardAtMs = clock.monotonicMs()) }, signal);
    const openedAtMs = clock.monotonicMs();
    outage.recovered();
    unwelcomeBackoff.reset();
    log.debug('tunnel open');
    await attend(connection, { heardAtMs: () => heardAtMs, serve, clock }, signal);
    if (clock.monotonicMs() - openedAtMs >= PROVEN_MS) {
      backoff.reset();
    }
    log.debug('tunnel closed');
  }

  /** @returns how long to wait before the next attempt, in milliseconds */
  async function settle(error: unknown, signal: AbortSignal): Promise<number> {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    outage.failed(error);
    if (error.reason === 'Unauthorized') {
      await onUnknownCredential(signal);
      return unwelcomeBackoff.nextMs();
    }
    const isUnwelcome = error.status < 500 && !error.isRetryable;
    return error.retryAfterMs ?? (isUnwelcome ? unwelcomeBackoff : backoff).nextMs();
  }

  return {
    run: async (signal) => {
      for (;;) {
        const credential = access.credential();
        if (credential === undefined) {
          await registered.wait(clock, Infinity, signal);
          continue;
        }
        let waitMs: number;
        try {
          await connectOnce(credential, signal);
          waitMs = backoff.nextMs();
        } catch (error) {
          signal.throwIfAborted();
          waitMs = await settle(error, signal);
        }
        await registered.wait(clock, waitMs, signal); // a new registration: the way is free again
      }
    },
  };
}

interface Attendance {
  readonly heardAtMs: () => number;
  readonly serve: (connection: WebSocketStream) => void;
  readonly clock: Clock;
}

/** Keeps the connection until it ends, falls silent, or the signal aborts. */
async function attend(connection: WebSocketStream, { heardAtMs, serve, clock }: Attendance, signal: AbortSignal): Promise<void> {
  const closed = new Wakeup();
  connection.once('close', () => closed.notify());
  connection.on('error', () => undefined); // cut: 'close' follows
  // later, as only then the stream is back in the mode in which others can read it
  connection.once('readable', () => setImmediate(() => (connection.destroyed ? undefined : serve(connection))));
  try {
    while (!connection.destroyed) {
      await closed.wait(clock, TUNNEL_PING_MS, signal);
      const silentMs = clock.monotonicMs() - heardAtMs();
      if (silentMs >= TUNNEL_SILENCE_MS) {
        break;
      }
      if (silentMs >= TUNNEL_PING_MS / 2 && !connection.destroyed) {
        connection.ping();
      }
    }
  } finally {
    connection.destroy();
  }
}
