/**
 * Node lifecycle: the loop that turns presence into status. Wakes when a lease runs out or a heartbeat brought news, derives the status
 * of the nodes concerned (node-state.ts) and writes those that changed, in batches.
 *
 * Owns     status of Nodes, together with node-service.ts (which derives it in the commits that change spec).
 * Never    writes because time passed: a status that says the same but for lastHeartbeat stays as it is stored.
 * Callers  main.ts spawns `run`.
 */
import { hasReason } from '../../api/errors.ts';
import type { NodeObject, Heartbeat } from '../../api/node.ts';
import { Backoff } from '../../base/backoff.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import type { Wakeup } from '../../base/wakeup.ts';
import type { Store } from '../../store/store.ts';
import { deriveNodeStatus, isSameStatus } from './node-state.ts';
import { TICK_MS, type NodeRegistry } from './node-registry.ts';

/** Nodes written in one commit: large enough that a fleet that falls silent at once is told in time, small enough not to hold up requests. */
const BATCH_SIZE = 500;

/** ms between flushes, so that many nodes with news share a commit; a lone one is written at once. */
const FLUSH_INTERVAL_MS = 10;

export interface NodeLifecycleDeps {
  readonly store: Store;
  readonly registry: NodeRegistry;
  /** notified by the registry */
  readonly wakeup: Wakeup;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly heartbeatTimeoutMs: number;
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
  const { store, registry, wakeup, clock, metrics, heartbeatTimeoutMs } = deps;
  const log = deps.log.child({ component: 'node-lifecycle' });
  const backoff = new Backoff({ baseMs: 100, capMs: 5000 }, deps.random);

  function draftStatus(name: string): Draft | undefined {
    const before = registry.find(name);
    if (before === undefined) {
      return undefined;
    }
    const presence = registry.presence(name);
    const { spec, status: previous } = before;
    const status = deriveNodeStatus({ name, spec, previous, ...presence, leaseMs: heartbeatTimeoutMs, now: nowRfc3339(clock) });
    if (isSameStatus(status, previous)) {
      registry.settle(name, presence.report);
      return undefined;
    }
    return { before, after: { ...before, status }, report: presence.report };
  }

  async function commit(drafts: readonly Draft[]): Promise<void> {
    const stored = await store.commit(
      drafts.map(({ before, after }) => ({ op: 'update', object: after, expectedVersion: before.metadata.resourceVersion })),
    );
    for (const [index, { before, after, report }] of drafts.entries()) {
      const name = before.metadata.name;
      registry.observe(stored[index] as NodeObject);
      registry.settle(name, report);
      if (before.status.state !== after.status.state) {
        const ready = after.status.conditions.find(({ type }) => type === 'Ready');
        log.info({ node: name, from: before.status.state, to: after.status.state, reason: ready?.reason }, 'node state changed');
      }
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

  async function runFlusher(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const expired = registry.expire(clock.monotonicMs());
      metrics.leaseExpired.inc(expired.length);
      if (!(await flush(signal))) {
        await clock.sleep(backoff.nextMs(), signal);
        continue;
      }
      if (backoff.failures > 0) {
        log.info({ failures: backoff.failures }, 'node status written again');
        backoff.reset();
      }
      await clock.sleep(FLUSH_INTERVAL_MS, signal);
      await wakeup.wait(clock, registry.nextDeadlineMs() - clock.monotonicMs(), signal);
    }
  }

  async function runTicker(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      registry.noticeTime(clock.monotonicMs());
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
