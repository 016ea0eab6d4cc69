/**
 * Heartbeater: renews this node's lease on a timer of its own.
 *
 * Owns     the timer and at most one request at a time, whose time limit is below the interval.
 * Never    waits for the engine, a disk or a Project: it sends what is known (heartbeat-body.ts).
 * Callers  session.ts runs it; the monitors of this machine wake it when a condition changes.
 * Source   The node guide: a deleted node's agent registers again only at its next start.
 */
import { ApiError } from '../../api/errors.ts';
import type { FenceGrant } from '../../api/project/fence.ts';
import type { Heartbeat } from '../../api/node.ts';
import { Backoff } from '../../base/backoff.ts';
import { readBootClock, type BootClock } from '../../base/boot-clock.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { jitter, type Random } from '../../base/random.ts';
import type { Wakeup } from '../../base/wakeup.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { Outage } from '../outage.ts';
import { isHeldByAnother } from './standing.ts';

const JITTER = 0.1;
const LEAST_GAP_MS = 1000; // between beats, however often something changes
const LONGEST_RETRY_AFTER_MS = 300_000; // a server that asks for more is asking to lose its fleet

/** How long one heartbeat may take. */
export function heartbeatTimeLimitMs(intervalMs: number): number {
  return Math.min(10_000, intervalMs / 2);
}

export interface Heartbeater {
  /** Beats at once and then at its interval; returns when the server does not know the node, or knows another machine under its name. */
  run(signal: AbortSignal): Promise<'unknown' | 'refused'>;
}

export interface HeartbeaterOptions {
  /** whose transport has `heartbeatTimeLimitMs` */
  readonly client: Pick<CaraClient, 'sendHeartbeat'>;
  readonly nodeName: string;
  readonly intervalMs: number;
  /** @param answer to what the server asked in its answer to the beat before */
  readonly body: (answer?: string) => Heartbeat;
  /** called after each accepted beat, also of a node whose record had been deleted and is there again */
  readonly onAccepted: () => void;
  readonly onDeleted: () => void;
  /** called for each beat that the server has granted, before `onAccepted` */
  readonly onGranted?: (grant: FenceGrant) => void;
  /** called for each accepted beat with what the server says of this machine (HOLD_HEADER), before `onAccepted` */
  readonly onHold?: (holdMs: number | undefined) => void;
  /** default: the machine's */
  readonly bootClock?: BootClock;
  /** beats ahead of time when notified: something changed that the server should know */
  readonly changed: Wakeup;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type Outcome = 'accepted' | 'unknown' | 'refused' | 'deleted' | { readonly failed: unknown };

export function createHeartbeater(options: HeartbeaterOptions): Heartbeater {
  const { client, nodeName, intervalMs, body, onAccepted, onDeleted, changed, clock, random, log } = options;
  const { onGranted, onHold, bootClock = readBootClock() } = options;
  const outage = new Outage(log, clock, 'heartbeats');
  const backoff = new Backoff({ baseMs: Math.min(1000, intervalMs / 4), capMs: intervalMs / 2 }, random);
  let isDeleted = false;
  let hasRival = false;
  let judgedTimeoutMs: number | undefined;

  /** @returns how long after its start the next beat is due, in milliseconds */
  function settle(outcome: Exclude<Outcome, 'unknown' | 'refused'>): number {
    if (typeof outcome === 'object') {
      outage.failed(outcome.failed);
      return waitAfter(outcome.failed);
    }
    outage.recovered();
    backoff.reset();
    if (outcome === 'accepted') {
      if (isDeleted) {
        log.info({ node: nodeName }, 'node record is back');
      }
      onAccepted();
    } else if (!isDeleted) {
      log.warn({ node: nodeName }, 'node record was deleted: keeps supervising; restart cara-agent to register again');
      onDeleted();
    }
    isDeleted = outcome === 'deleted';
    return jitter(random, intervalMs, JITTER);
  }

  function waitAfter(error: unknown): number {
    const retryAfterMs = error instanceof ApiError ? error.retryAfterMs : undefined;
    return retryAfterMs === undefined ? backoff.nextMs() : Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
  }

  /** @param rival a sentence on another machine that claims the name; undefined: there is none */
  function tellRival(rival: string | undefined): void {
    if (rival !== undefined && !hasRival) {
      log.warn({ node: nodeName, detail: rival }, 'another machine claims the name of this node');
    } else if (rival === undefined && hasRival) {
      log.info({ node: nodeName }, 'no other machine claims the name of this node any more');
    }
    hasRival = rival !== undefined;
  }

  /** A timeout in which not even two heartbeats come lets one lost heartbeat be an outage. Told once for each timeout. */
  function judgeInterval(timeoutMs: number): void {
    if (timeoutMs !== judgedTimeoutMs && timeoutMs <= 2 * intervalMs) {
      const detail =
        'One lost heartbeat makes this node NotReady: lower HEARTBEAT_INTERVAL here below half of the timeout, or raise NODE_HEARTBEAT_TIMEOUT at the server';
      log.warn({ intervalMs, timeoutMs, detail }, 'heartbeat interval is too long for the heartbeat timeout');
    }
    judgedTimeoutMs = timeoutMs;
  }

  /** @returns what the server asks instead of taking it in */
  async function send(answer: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    const sentAtMs = bootClock.bootMs(); // before it is: the server counts from when it comes in
    const { challenge, grantedMs, rival, holdMs } = await client.sendHeartbeat(nodeName, body(answer), signal);
    if (challenge === undefined) {
      tellRival(rival);
      onHold?.(holdMs);
    }
    if (challenge === undefined && grantedMs !== undefined) {
      judgeInterval(grantedMs);
      onGranted?.({ sentAtMs, timeoutMs: grantedMs });
    }
    return challenge;
  }

  async function beat(signal: AbortSignal): Promise<Outcome> {
    try {
      const challenge = await send(undefined, signal);
      if (challenge !== undefined) {
        await send(challenge, signal); // at once: this is the one that counts
      }
      return 'accepted';
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ApiError)) {
        throw error;
      }
      if (error.reason === 'NotFound') {
        return 'unknown';
      }
      if (isHeldByAnother(error)) {
        return 'refused';
      }
      return error.status === 410 ? 'deleted' : { failed: error };
    }
  }

  return {
    run: async (signal) => {
      for (;;) {
        const startedAtMs = clock.monotonicMs();
        const outcome = await beat(signal);
        if (outcome === 'unknown' || outcome === 'refused') {
          isDeleted = false;
          return outcome;
        }
        const dueMs = startedAtMs + settle(outcome);
        const leastMs = Math.min(startedAtMs + LEAST_GAP_MS, dueMs);
        await clock.sleep(Math.max(0, leastMs - clock.monotonicMs()), signal);
        await changed.wait(clock, Math.max(0, dueMs - clock.monotonicMs()), signal);
      }
    },
  };
}
