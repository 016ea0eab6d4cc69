/**
 * Stats reader: what this node and its services use, in one sample of counters.
 *
 * Owns     the latest sample: however many ask at once, the engine is asked once, and not again within half a second.
 * Never    asks the engine for more than eight containers at a time, or waits for one that does not answer for longer than the others take.
 * Callers  http/stats.ts
 */
import type { NodeStats, ServiceStats } from '../../api/node/node-stats.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { ContainerStats, ContainerSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { clusterFilter, LABEL } from '../docker/names.ts';
import type { HostMeasure } from '../host/host-probe.ts';
import type { MachineCounters } from './machine-counters.ts';

const FRESH_MS = 500;
const LIMIT_MS = 5000; // for all containers together; whoever is not read by then is left out
const AT_ONCE = 8;

export interface StatsSources {
  readonly engine: Pick<Engine, 'listContainers' | 'containerStats'>;
  /** undefined before the agent has ever joined */
  readonly clusterId: () => string | undefined;
  readonly measure: () => Promise<HostMeasure>;
  readonly readCounters: () => MachineCounters;
  /** names this start of the agent */
  readonly start: string;
  readonly clock: Clock;
}

export interface StatsReader {
  /** Also where the engine does not answer: then of the machine alone. */
  read(): Promise<NodeStats>;
}

export function createStatsReader(sources: StatsSources): StatsReader {
  const { clock } = sources;
  let latest: { readonly startedAtMs: number; readonly stats: Promise<NodeStats>; isDone: boolean } | undefined;
  return {
    read: async () => {
      const nowMs = clock.monotonicMs();
      if (latest === undefined || (latest.isDone && nowMs - latest.startedAtMs >= FRESH_MS)) {
        const current = { startedAtMs: nowMs, stats: sample(sources), isDone: false };
        latest = current;
        current.stats.catch(() => undefined).finally(() => (current.isDone = true));
      }
      return await latest.stats;
    },
  };
}

async function sample({ engine, clusterId, measure, readCounters, start, clock }: StatsSources): Promise<NodeStats> {
  using deadline = withDeadline(clock, LIMIT_MS, new AbortController().signal);
  const { cpuMillis, memoryBytes, memoryAvailableBytes, disk } = await measure();
  const atMs = clock.monotonicMs();
  const machine = {
    cpuMillis,
    ...readCounters(),
    memoryBytes,
    memoryUsedBytes: Math.max(0, memoryBytes - memoryAvailableBytes),
    diskBytes: disk.totalBytes,
    diskUsedBytes: Math.max(0, disk.totalBytes - disk.freeBytes),
  };
  const cluster = clusterId();
  let containers: readonly ContainerSummary[] = [];
  let problem: string | undefined;
  try {
    containers = cluster === undefined ? [] : await engine.listContainers({ labels: clusterFilter(cluster), all: false }, deadline.signal);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  const services: ServiceStats[] = [];
  const left = containers.filter(({ labels }) => labels[LABEL.project] !== undefined && labels[LABEL.service] !== undefined);
  const work = async (): Promise<void> => {
    for (let container = left.pop(); container !== undefined && !deadline.signal.aborted; container = left.pop()) {
      const stats = await engine.containerStats(container.id, deadline.signal).catch(() => undefined);
      if (stats !== undefined) {
        services.push(toService(container, stats, { atMs: clock.monotonicMs(), memoryBytes }));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { atMs, clock: start, machine, services, ...(problem !== undefined && { problem }) };
}

interface Seen {
  readonly atMs: number;
  /** the machine's */
  readonly memoryBytes: number;
}

function toService({ id, labels }: ContainerSummary, stats: ContainerStats, { atMs, memoryBytes }: Seen): ServiceStats {
  const { memoryLimitBytes, ...rest } = stats;
  return {
    project: labels[LABEL.project] ?? '',
    service: labels[LABEL.service] ?? '',
    containerId: id,
    atMs,
    ...rest,
    // without a limit of its own the engine tells the machine's
    ...(memoryLimitBytes !== undefined && memoryLimitBytes < memoryBytes && { memoryLimitBytes }),
  };
}
