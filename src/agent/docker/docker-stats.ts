/** Translates the engine's statistics of a container; pure. Source: Docker Engine API v1.41, "Get container stats based on resource usage". */
import type { ContainerStats } from './docker-types.ts';

/** Any field may be missing or null: what the kernel does not count is left out, and differs between cgroup v1 and v2. */
type Maybe<T> = { readonly [K in keyof T]?: T[K] | null } | null | undefined;

type WireStats = Maybe<{
  cpu_stats: Maybe<{ cpu_usage: Maybe<{ total_usage: number }> }>;
  memory_stats: Maybe<{ usage: number; limit: number; stats: Maybe<{ total_inactive_file: number; inactive_file: number }> }>;
  networks: Readonly<Record<string, Maybe<{ rx_bytes: number; tx_bytes: number }>>>;
  blkio_stats: Maybe<{ io_service_bytes_recursive: readonly Maybe<{ op: string; value: number }>[] }>;
}>;

export function decodeStats(body: unknown): ContainerStats {
  const wire = (typeof body === 'object' ? body : null) as WireStats;
  const cpuNs = wire?.cpu_stats?.cpu_usage?.total_usage;
  const memory = wire?.memory_stats;
  const networks = wire?.networks == null ? undefined : Object.values(wire.networks);
  const blocks = wire?.blkio_stats?.io_service_bytes_recursive;
  const cache = memory?.stats?.total_inactive_file ?? memory?.stats?.inactive_file ?? 0; // as the docker command line counts
  return withoutUndefined({
    cpuUsedMs: cpuNs == null ? undefined : cpuNs / 1e6,
    memoryUsedBytes: memory?.usage == null ? undefined : Math.max(0, memory.usage - cache),
    memoryLimitBytes: memory?.limit ?? undefined,
    receivedBytes: networks && sum(networks.map((network) => network?.rx_bytes)),
    sentBytes: networks && sum(networks.map((network) => network?.tx_bytes)),
    // an empty list is what kernels without that accounting give: no zero
    diskReadBytes: blocks == null || blocks.length === 0 ? undefined : sumOf(blocks, 'read'),
    diskWrittenBytes: blocks == null || blocks.length === 0 ? undefined : sumOf(blocks, 'write'),
  });
}

function sum(values: readonly (number | null | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

function sumOf(blocks: readonly Maybe<{ op: string; value: number }>[], op: string): number {
  return sum(blocks.filter((block) => block?.op?.toLowerCase() === op).map((block) => block?.value));
}

function withoutUndefined(stats: { readonly [K in keyof ContainerStats]-?: ContainerStats[K] | undefined }): ContainerStats {
  return Object.fromEntries(Object.entries(stats).filter(([, value]) => value !== undefined)) as ContainerStats;
}
