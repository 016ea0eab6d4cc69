/** What a Project asks of a node, read once from its spec into numbers; pure. */
import type { NodeStatus, ResourceAmounts } from '../../api/node.ts';
import type { ProjectMove, ProjectObject, ProjectSpec } from '../../api/project.ts';
import { formatBytes, formatMillis, quantityToMillis, quantityToUnits } from '../../api/quantity.ts';

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

export interface Demand {
  readonly amounts: Amounts;
  /** host ports as `80/TCP`, each once */
  readonly hostPorts: readonly string[];
  /** label key and value, both of which a node must have */
  readonly nodeSelector: readonly (readonly [key: string, value: string])[];
  /** nodes on which this Project failed for a reason of the node: not to be tried again */
  readonly failedNodes: readonly string[];
  /** the only node it may go to, as somebody asked it to move there */
  readonly wishedNode: string | undefined;
  /** the node it was asked to leave */
  readonly leftNode: string | undefined;
  /** resource -> the amount asked, as the user wrote it where one service alone asks for it */
  readonly written: Readonly<Record<Resource['name'], string>>;
  /** equal for demands that any node answers alike */
  readonly key: string;
}

export interface DemandOptions {
  readonly failedNodes?: readonly string[];
  readonly move?: ProjectMove | undefined;
}

/** Sums what the services request. @throws {RangeError} when a quantity is none */
export function deriveDemand(spec: ProjectSpec, { failedNodes = [], move }: DemandOptions = {}): Demand {
  const amounts = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
  const written = { cpu: '0', memory: '0', disk: '0' };
  for (const { name, unit, read, write } of RESOURCES) {
    const requests = spec.services.map(({ resources }) => resources?.requests?.[name]).filter((quantity) => quantity !== undefined);
    amounts[unit] = requests.reduce<number>((sum, quantity) => sum + read(quantity), 0);
    written[name] = requests.length === 1 ? String(requests[0]) : write(amounts[unit]);
  }
  const hostPorts = hostPortsOf(spec);
  const nodeSelector = Object.entries(spec.nodeSelector ?? {});
  const wishedNode = move?.to;
  const leftNode = wishedNode === undefined ? move?.from : undefined; // asked to go back there, it may
  const key = JSON.stringify([amounts, hostPorts, nodeSelector, failedNodes, wishedNode ?? null, leftNode ?? null]);
  return { amounts, hostPorts, nodeSelector, failedNodes, wishedNode, leftNode, written, key };
}

/** Tells whether two versions of a Project ask the same of a node, whatever else has changed. */
export function asksAlike(left: Asking, right: Asking): boolean {
  return (
    left.uid === right.uid &&
    left.generation === right.generation &&
    left.move?.from === right.move?.from &&
    left.move?.to === right.move?.to
  );
}

/** All that a Project's demand depends on. */
export interface Asking {
  readonly uid: string;
  readonly generation: number;
  readonly move: ProjectMove | undefined;
}

export function askingOf({ metadata: { uid, generation }, status: { move } }: ProjectObject): Asking {
  return { uid, generation, move };
}

function hostPortsOf(spec: ProjectSpec): readonly string[] {
  const ports = new Set<string>();
  for (const { ports: published } of spec.services) {
    for (const { hostPort, protocol } of published ?? []) {
      if (hostPort !== undefined) {
        ports.add(`${hostPort}/${protocol ?? 'TCP'}`);
      }
    }
  }
  return [...ports];
}

/** What the node reports as allocatable. A node that reports nonsense is one that does not report. */
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
