/** Capacity: what was measured, as the quantities of a heartbeat. Pure. */
import type { ResourceAmounts } from '../../api/node.ts';
import { formatBytes, formatMillis } from '../../api/quantity.ts';

export interface Resources {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** undefined while no disk could be measured */
  readonly diskBytes: number | undefined;
}

/** Capacity as quantities. */
export function deriveCapacity(total: Resources): ResourceAmounts {
  return {
    cpu: formatMillis(total.cpuMillis),
    memory: formatBytes(total.memoryBytes),
    ...(total.diskBytes !== undefined && { disk: formatBytes(total.diskBytes) }),
  };
}

/** Capacity less what is kept back for the system, never below 0. */
export function deriveAllocatable(total: Resources, reserved: Resources): ResourceAmounts {
  return deriveCapacity({
    cpuMillis: Math.max(0, total.cpuMillis - reserved.cpuMillis),
    memoryBytes: Math.max(0, total.memoryBytes - reserved.memoryBytes),
    diskBytes: total.diskBytes === undefined ? undefined : Math.max(0, total.diskBytes - (reserved.diskBytes ?? 0)),
  });
}
