/**
 * Node lifecycle: the loop that turns presence into status. Wakes when a lease runs out or a heartbeat brought news, derives the status
 * of the nodes concerned (node-state.ts) and writes those that changed, in batches.
 *
 * Owns     status of Nodes, together with node-service.ts (which derives it in the commits that change spec).
 * Never    writes because time passed: a status that says the same but for lastHeartbeat stays as it is stored.
 * Callers  start-nodes.ts spawns `run`.
 */
import { findCondition } from '../../api/condition.ts';
import { hasReason } from '../../api/errors.ts';
import { NODE_STATES, type Heartbeat, type NodeObject } from '../../api/node.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Wakeup } from '../../base/wakeup.ts';
import type { Store } from '../../store/store.ts';
import { isSameStatus } from './node-state.ts';
import { TICK_MS, type NodeRegistry } from './node-registry.ts';

/** Nodes written in one commit: large enough that a fleet that falls silent at once is told in time, small enough not to hold up requests. */
const BATCH_SIZE = 500;

/** ms between flushes, so that many nodes with news share a commit; a lone one is written at once. */
const FLUSH_INTERVAL_MS = 10;

/** ms; the longest that news waits for the next flush. With 100, one slow turn made the nodes that fell silent meanwhile late twice. */
const LONGEST_PAUSE_MS = 25;

/** Changes of state in one commit that get a log line each. */
const LOGGED_SINGLY = 20;

export interface NodeLifecycleDeps {
  readonly store: Store;
  readonly registry: NodeRegistry;
  /** notified by the registry */
  readonly wakeup: Wakeup;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
}

export interface NodeLifecycle {
  /** Runs until the signal aborts; then writes what is left to write. */
  run(signal: AbortSignal): Promise<void>;
}

/** A status that differs from the stored one. */
interface Draft {
  readonly before: NodeObject;
  readonly after: NodeObject;
  readonly report: Heartbeat | undefined;
}

export function createNodeLifecycle(deps: NodeLifecycleDeps): NodeLifecycle {
  const { store, registry, wakeup, clock, metrics } = deps;
  const log = deps.log.child({ component: 'node-lifecycle' });
  const backoff = new Backoff({ baseMs: 100, capMs: 5000 }, deps.random);

  function draftStatus(name: string): Draft | undefined {
    const before = registry.find(name);
    if (before === undefined) {
      return undefined;
    }
    const presence = registry.view.presence(name);
    const status = registry.view.deriveStatus(before, presence);
    if (isSameStatus(status, before.status)) {
      registry.settle(name, presence.report);
      return undefined;
    }
    return { before, after: { ...before, status }, report: presence.report };
  }

  async function commit(drafts: readonly Draft[]): Promise<void> {
    const stored = await store.commit(
      drafts.map(({ before, after }) => ({ op: 'update', object: after, expectedVersion: before.metadata.resourceVersion })),
    );
    for (const [index, { before, report }] of drafts.entries()) {
      registry.observe(stored[index] as NodeObject);
      registry.settle(before.metadata.name, report);
    }
    logStateChanges(drafts.filter(({ before, after }) => before.status.state !== after.status.state));
  }

  /** A line each; where many change at once, one for the rest of them. */
  function logStateChanges(changed: readonly Draft[]): void {
    for (const { before, after } of changed.slice(0, LOGGED_SINGLY)) {
      const ready = findCondition(after.status.conditions, 'Ready');
      log.info(
        { node: before.metadata.name, from: before.status.state, to: after.status.state, reason: ready?.reason },
        'node state changed',
      );
    }
    const rest = changed.slice(LOGGED_SINGLY);
    if (rest.length > 0) {
      const nodesTo = Object.fromEntries(
        NODE_STATES.map((state) => [state, rest.filter(({ after }) => after.status.state === state).length]),
      );
      log.info({ nodes: rest.length, nodesTo }, 'states of more nodes changed');
    }
  }

  /** Writes one after the other those of a batch in which some node had been written by somebody else, who has the word first. */
  async function commitSingly(drafts: readonly Draft[]): Promise<void> {
    for (const { before } of drafts) {
      const name = before.metadata.name;
      const current = await store.get<NodeObject>('Node', name);
      if (current === undefined) {
        continue; // deleted meanwhile: whoever did it has told the registry
      }
      registry.observe(current);
      const draft = draftStatus(name);
      try {
        await commit(draft === undefined ? [] : [draft]);
      } catch (error) {
        if (!hasReason(error, 'Conflict', 'NotFound')) {
          throw error;
        }
        registry.returnDirty([name]); // again a little later
      }
    }
  }

  async function flushBatch(names: readonly string[]): Promise<void> {
    const drafts = names.flatMap((name) => draftStatus(name) ?? []);
    if (drafts.length === 0) {
      return;
    }
    const startMs = clock.monotonicMs();
    try {
      await commit(drafts);
    } catch (error) {
      if (!hasReason(error, 'Conflict', 'NotFound')) {
        throw error;
      }
      await commitSingly(drafts);
    }
    metrics.heartbeatFlushSeconds.observe((clock.monotonicMs() - startMs) / 1000);
  }

  /** @returns whether all that was dirty has been dealt with; false: the store cannot write now */
  async function flush(signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      const names = registry.takeDirty(BATCH_SIZE);
      if (names.length === 0) {
        return true;
      }
      try {
        await flushBatch(names);
      } catch (error) {
        if (!hasReason(error, 'Unavailable')) {
          throw error;
        }
        registry.returnDirty(names);
        if (backoff.failures === 0) {
          log.warn({ err: error }, 'node status not written, trying again');
        }
        return false;
      }
      if (signal !== undefined) {
        await clock.sleep(0, signal); // lets requests in between the batches of a large fleet
      }
    }
  }

  /** Ends the leases that have run out. @returns now, monotonic ms */
  function expire(): number {
    const nowMs = clock.monotonicMs();
    metrics.leaseExpired.inc(registry.expire(nowMs));
    return nowMs;
  }

  async function runFlusher(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startMs = expire();
      if (!(await flush(signal))) {
        await clock.sleep(backoff.nextMs(), signal);
        continue;
      }
      if (backoff.failures > 0) {
        log.info({ failures: backoff.failures }, 'node status written again');
        backoff.reset();
      }
      // as long as the flush took, or nearly: under load fewer, larger commits, and some of the time is everybody else's
      await clock.sleep(Math.max(FLUSH_INTERVAL_MS, Math.min(LONGEST_PAUSE_MS, clock.monotonicMs() - startMs)), signal);
      await wakeup.wait(clock, registry.nextDeadlineMs() - clock.monotonicMs(), signal);
    }
  }

  async function runTicker(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      expire(); // notices the time; and while a long flush goes on, readers are told of the nodes that fall silent meanwhile
      await clock.sleep(TICK_MS, signal);
    }
  }

  return {
    run: async (signal) => {
      try {
        await Promise.all([runFlusher(signal), runTicker(signal)]);
      } finally {
        await flush();
      }
    },
  };
}
