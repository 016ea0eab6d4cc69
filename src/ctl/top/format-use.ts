/** How use looks in cells and in documents. Callers: node-view.ts, service-view.ts. */
import { formatBytes, formatMillis } from '../../api/quantity.ts';
import { roundBytes } from '../output/usage.ts';
import type { Use } from './use.ts';

/** "12m"; below a thousandth of a CPU "0"; "-" where it is not known. */
export function cpuCell(millis: number | undefined): string {
  return millis === undefined ? '-' : formatMillis(Math.round(millis));
}

export function bytesCell(bytes: number | undefined): string {
  return bytes === undefined ? '-' : roundBytes(Math.round(bytes));
}

/** "1.5Ki/s" */
export function rateCell(perSecond: number | undefined): string {
  return perSecond === undefined ? '-' : `${roundBytes(Math.round(perSecond))}/s`;
}

/** For programs: CPU and memory as quantities, rates in bytes a second; what is not known is left out. */
export function toUseDocument(use: Use): object {
  const { cpuMillis, memoryBytes, memoryLimitBytes } = use;
  const network = whatIsKnown({ receivedPerSecond: use.receivedPerSecond, sentPerSecond: use.sentPerSecond });
  const disk = whatIsKnown({ readPerSecond: use.readPerSecond, writtenPerSecond: use.writtenPerSecond });
  return {
    ...(cpuMillis !== undefined && { cpu: formatMillis(Math.round(cpuMillis)) }),
    ...(memoryBytes !== undefined && { memory: formatBytes(Math.round(memoryBytes)) }),
    ...(memoryLimitBytes !== undefined && { memoryLimit: formatBytes(memoryLimitBytes) }),
    ...(network !== undefined && { network }),
    ...(disk !== undefined && { disk }),
  };
}

/** Whole bytes a second. */
export function whatIsKnown(rates: Readonly<Record<string, number | undefined>>): object | undefined {
  const known = Object.entries(rates).flatMap(([name, value]) => (value === undefined ? [] : [[name, Math.round(value)] as const]));
  return known.length === 0 ? undefined : Object.fromEntries(known);
}
