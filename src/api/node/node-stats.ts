/**
 * What a node and its services use now, as their agent counts it: totals since a start, of which two make a rate. No schema in here: the CLI
 * loads it. What is not known is left out.
 */

export interface NodeStats {
  /** ms of a clock of the agent's own that only goes forward; two samples of other `clock`s have nothing to do with each other */
  readonly atMs: number;
  /** names that clock: the agent's start */
  readonly clock: string;
  readonly machine: MachineStats;
  /** those that run */
  readonly services: readonly ServiceStats[];
  /** why nothing is known of the services */
  readonly problem?: string;
}

export interface MachineStats {
  /** what there is, in thousandths of a CPU */
  readonly cpuMillis: number;
  /** CPU time spent, in ms */
  readonly cpuUsedMs?: number;
  readonly memoryBytes: number;
  /** without what the kernel would give up at once */
  readonly memoryUsedBytes: number;
  /** of the file system that holds the engine's data */
  readonly diskBytes: number;
  readonly diskUsedBytes: number;
  /** of its network cards */
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

export interface ServiceStats {
  readonly project: string;
  readonly service: string;
  /** another one counts from zero */
  readonly containerId: string;
  /** ms of the same clock, when this container was looked at */
  readonly atMs: number;
  readonly cpuUsedMs?: number;
  /** without the cache of files that the kernel would give up at once */
  readonly memoryUsedBytes?: number;
  /** not there: none of its own */
  readonly memoryLimitBytes?: number;
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
  readonly diskReadBytes?: number;
  readonly diskWrittenBytes?: number;
}
