/** What is used, of two samples of counters; pure. What cannot be told is undefined, never a guess. Callers: commands/top.ts. */
import type { MachineStats, NodeStats, ServiceStats } from '../../api/node/node-stats.ts';

/** Of a node, a service or a Project. Rates are per second. */
export interface Use {
  readonly cpuMillis: number | undefined;
  readonly memoryBytes: number | undefined;
  /** the least that stands in its way; of a Project none */
  readonly memoryLimitBytes: number | undefined;
  /** of nodes alone */
  readonly diskBytes: number | undefined;
  readonly receivedPerSecond: number | undefined;
  readonly sentPerSecond: number | undefined;
  readonly readPerSecond: number | undefined;
  readonly writtenPerSecond: number | undefined;
}

export const UNKNOWN_USE: Use = {
  cpuMillis: undefined,
  memoryBytes: undefined,
  memoryLimitBytes: undefined,
  diskBytes: undefined,
  receivedPerSecond: undefined,
  sentPerSecond: undefined,
  readPerSecond: undefined,
  writtenPerSecond: undefined,
};

/** Two samples of one node, of which the earlier may be missing: then there are no rates. */
export interface Samples {
  readonly before: NodeStats | undefined;
  readonly now: NodeStats;
}

/** Shorter ones say more about when the kernel counts than about what is used. */
const LEAST_MS = 200;

type Counter = (counts: MachineStats | ServiceStats) => number | undefined;

function rate(
  before: { readonly atMs: number; readonly counts: MachineStats | ServiceStats } | undefined,
  now: typeof before,
  read: Counter,
) {
  const [from, to] = [before && read(before.counts), now && read(now.counts)];
  const ms = (now?.atMs ?? 0) - (before?.atMs ?? 0);
  // what counts backwards has begun anew
  return from === undefined || to === undefined || ms < LEAST_MS || to < from ? undefined : ((to - from) * 1000) / ms;
}

export function deriveNodeUse({ before, now }: Samples): Use {
  const [from, to] = [before?.clock === now.clock ? toPoint(before) : undefined, toPoint(now)];
  return {
    ...UNKNOWN_USE,
    cpuMillis: rate(from, to, ({ cpuUsedMs }) => cpuUsedMs),
    memoryBytes: now.machine.memoryUsedBytes,
    diskBytes: now.machine.diskUsedBytes,
    receivedPerSecond: rate(from, to, ({ receivedBytes }) => receivedBytes),
    sentPerSecond: rate(from, to, ({ sentBytes }) => sentBytes),
  };
}

function toPoint({ atMs, machine }: NodeStats) {
  return { atMs, counts: machine };
}

/** "PROJECT/SERVICE" -> what its containers on the node use; more than one while it is being changed. */
export function deriveServiceUse({ before, now }: Samples): ReadonlyMap<string, Use> {
  const earlier = new Map((before?.clock === now.clock ? before.services : []).map((one) => [one.containerId, one]));
  const groups = Map.groupBy(now.services, ({ project, service }) => `${project}/${service}`);
  return new Map(
    [...groups].map(([name, containers]) => [name, sumUse(containers.map((one) => useOf(earlier.get(one.containerId), one)))]),
  );
}

function useOf(before: ServiceStats | undefined, now: ServiceStats): Use {
  const [from, to] = [before && { atMs: before.atMs, counts: before }, { atMs: now.atMs, counts: now }];
  const io = (read: (counts: ServiceStats) => number | undefined): number | undefined =>
    rate(from, to, (counts) => read(counts as ServiceStats));
  return {
    cpuMillis: io(({ cpuUsedMs }) => cpuUsedMs),
    memoryBytes: now.memoryUsedBytes,
    memoryLimitBytes: now.memoryLimitBytes,
    diskBytes: undefined,
    receivedPerSecond: io(({ receivedBytes }) => receivedBytes),
    sentPerSecond: io(({ sentBytes }) => sentBytes),
    readPerSecond: io(({ diskReadBytes }) => diskReadBytes),
    writtenPerSecond: io(({ diskWrittenBytes }) => diskWrittenBytes),
  };
}

/** Of several together. What is unknown of one is unknown of all: a sum that leaves something out would say too little. */
export function sumUse(uses: readonly Use[]): Use {
  const [first, ...others] = uses;
  if (first === undefined) {
    return UNKNOWN_USE;
  }
  return others.reduce((left, right) => {
    const add = (read: (use: Use) => number | undefined): number | undefined => {
      const [a, b] = [read(left), read(right)];
      return a === undefined || b === undefined ? undefined : a + b;
    };
    return {
      cpuMillis: add((use) => use.cpuMillis),
      memoryBytes: add((use) => use.memoryBytes),
      memoryLimitBytes: add((use) => use.memoryLimitBytes),
      diskBytes: add((use) => use.diskBytes),
      receivedPerSecond: add((use) => use.receivedPerSecond),
      sentPerSecond: add((use) => use.sentPerSecond),
      readPerSecond: add((use) => use.readPerSecond),
      writtenPerSecond: add((use) => use.writtenPerSecond),
    };
  }, first);
}
