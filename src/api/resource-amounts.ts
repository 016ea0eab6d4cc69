/** Amounts of CPU, memory and disk as numbers: what Projects ask for, what nodes have to give. Pure; shared by scheduler and caractrl. */
import type { NodeStatus, ResourceAmounts } from './node.ts';
import type { ProjectObject, ProjectSpec } from './project.ts';
import { formatBytes, formatMillis, quantityToMillis, quantityToUnits } from './quantity.ts';

/** Amounts of every resource, in the units in which they are summed. */
export interface Amounts {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** What a node has to give; undefined for a resource that it does not report. */
export type Allocatable = { readonly [Unit in keyof Amounts]: number | undefined };

export interface Resource {
  readonly name: keyof ResourceAmounts;
  readonly unit: keyof Amounts;
  readonly read: (quantity: string | number) => number;
  readonly write: (amount: number) => string;
}

/** In the order in which they are checked and told. */
export const RESOURCES = [
  { name: 'cpu', unit: 'cpuMillis', read: quantityToMillis, write: formatMillis },
  { name: 'memory', unit: 'memoryBytes', read: quantityToUnits, write: formatBytes },
  { name: 'disk', unit: 'diskBytes', read: quantityToUnits, write: formatBytes },
] as const satisfies readonly Resource[];

/** Sums what the services request. @throws {RangeError} when a quantity is none */
export function sumRequests({ services }: Pick<ProjectSpec, 'services'>): Amounts {
  const amounts = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
  for (const { resources } of services) {
    const requests = resources?.requests;
    if (requests !== undefined) {
      for (const { name, unit, read } of RESOURCES) {
        const quantity = requests[name];
        amounts[unit] += quantity === undefined ? 0 : read(quantity);
      }
    }
  }
  return amounts;
}

/** The node on which a Project takes room; undefined when it takes none. */
export function placeOf({ status }: ProjectObject): string | undefined {
  return status.phase === 'Terminated' ? undefined : status.nodeRef;
}

/** What a node reports as allocatable. A node that reports nonsense is one that does not report. */
export function readAllocatable({ allocatable = {} }: Pick<NodeStatus, 'allocatable'>): Allocatable {
  return {
    cpuMillis: readOrUndefined(allocatable.cpu, quantityToMillis),
    memoryBytes: readOrUndefined(allocatable.memory, quantityToUnits),
    diskBytes: readOrUndefined(allocatable.disk, quantityToUnits),
  };
}

function readOrUndefined(quantity: string | number | undefined, read: Resource['read']): number | undefined {
  try {
    return quantity === undefined ? undefined : read(quantity);
  } catch (error) {
    if (error instanceof RangeError) {
      return undefined;
    }
    throw error;
  }
}
