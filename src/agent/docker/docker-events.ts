/**
 * Follows the engine's events for as long as it is asked to, across every break of the stream and restart of the engine.
 *
 * Events only shorten latency: whoever listens lists everything after each `onConnected`, as what happened before is lost,
 * and again every so often. `onConnected` comes after the engine has accepted the subscription, so nothing falls between.
 *
 * Owns     the time of the last event seen, so that a short break replays what it missed.
 * Never    interprets events, or ends before its signal aborts.
 * Callers  agent/reconcile/reconciler.ts.
 */
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { EngineEvent, Labels } from './docker-types.ts';
import type { Engine } from './engine.ts';

const BACKOFF = { baseMs: 200, capMs: 10_000 }; // an engine restarts in 1 to 5 s, and pending work waits for it

/** What can change a plan. A health check alone makes three events each time it runs, and they would be most of all. */
const ACTIONS = ['create', 'start', 'die', 'oom', 'destroy', 'pause', 'unpause', 'rename', 'health_status'];

export interface WatchEngineOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Events of containers carry their labels, those of networks and volumes do not: a filter leaves containers alone. */
  readonly labels: Labels;
  /** Subscribed, for the first time or again: list everything. */
  readonly onConnected: () => void;
  readonly onEvent: (event: EngineEvent) => void;
  /** The stream is down from now until `onConnected`; called once each time, not once a try. */
  readonly onDisconnected?: (error: unknown) => void;
}

/** Runs until the signal aborts, then resolves. The callbacks must not throw. */
export async function watchEngine(engine: Engine, options: WatchEngineOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options;
  const backoff = new Backoff(BACKOFF, options.random);
  let lastSeenNs: bigint | undefined;
  let isConnected = true; // before the first try: a failure then is a transition too
  while (!signal.aborted) {
    let connectedAtMs = Infinity;
    let error: unknown;
    try {
      const since = lastSeenNs === undefined ? {} : { sinceNs: lastSeenNs };
      const events = await engine.events({ labels: options.labels, actions: ACTIONS, ...since }, signal);
      connectedAtMs = clock.monotonicMs();
      isConnected = true;
      log.info({ retries: backoff.failures }, 'engine events connected');
      options.onConnected();
      for await (const event of events) {
        lastSeenNs = event.timeNs;
        options.onEvent(event);
      }
    } catch (caught) {
      error = caught;
    }
    if (signal.aborted) {
      return;
    }
    if (isConnected) {
      isConnected = false;
      log.warn({ err: error }, 'engine events disconnected');
      options.onDisconnected?.(error);
    }
    // Only a stream that lasted counts as success: one that opens and ends at once must not make us list in a loop.
    if (clock.monotonicMs() - connectedAtMs >= BACKOFF.capMs) {
      backoff.reset();
    }
    await clock.sleep(backoff.nextMs(), signal).catch(() => undefined); // aborted: the loop ends
  }
}
