/** What a Project asks of a node, read once from its spec into numbers; pure. */
import type { ProjectMove, ProjectObject, ProjectSpec } from '../../api/project.ts';
import { RESOURCES, sumRequests, type Amounts, type Resource } from '../../api/resource-amounts.ts';

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
  const amounts = sumRequests(spec);
  const written = { cpu: '0', memory: '0', disk: '0' };
  for (const { name, unit, write } of RESOURCES) {
    const requests = spec.services.map(({ resources }) => resources?.requests?.[name]).filter((quantity) => quantity !== undefined);
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
