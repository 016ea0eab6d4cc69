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
  /** what it was read from */
  readonly spec: ProjectSpec;
}

export interface DemandOptions {
  readonly failedNodes?: readonly string[];
  readonly move?: ProjectMove | undefined;
}

/** Sums what the services request. @throws {RangeError} when a quantity is none */
export function deriveDemand(spec: ProjectSpec, { failedNodes = [], move }: DemandOptions = {}): Demand {
  const wishedNode = move?.to;
  return {
    amounts: sumRequests(spec),
    hostPorts: hostPortsOf(spec),
    nodeSelector: spec.nodeSelector === undefined ? [] : Object.entries(spec.nodeSelector),
    failedNodes,
    wishedNode,
    leftNode: wishedNode === undefined ? move?.from : undefined, // asked to go back there, it may
    spec,
  };
}

/** Tells whether nothing but a node's state and its room decide on it. */
export function asksForAmountsAlone({ hostPorts, nodeSelector, failedNodes, wishedNode, leftNode }: Demand): boolean {
  return (
    hostPorts.length === 0 && nodeSelector.length === 0 && failedNodes.length === 0 && wishedNode === undefined && leftNode === undefined
  );
}

/** Equal for demands that any node answers alike. */
export function keyOf({ amounts, hostPorts, nodeSelector, failedNodes, wishedNode, leftNode }: Demand): string {
  return JSON.stringify([amounts, hostPorts, nodeSelector, failedNodes, wishedNode, leftNode]);
}

/** Resource -> the amount asked, as the user wrote it where one service alone asks for it. */
export function writeAsked({ spec, amounts }: Demand): Readonly<Record<Resource['name'], string>> {
  const written = { cpu: '0', memory: '0', disk: '0' };
  for (const { name, unit, write } of RESOURCES) {
    const requests = spec.services.map(({ resources }) => resources?.requests?.[name]).filter((quantity) => quantity !== undefined);
    written[name] = requests.length === 1 ? String(requests[0]) : write(amounts[unit]);
  }
  return written;
}

/** Tells whether two versions of a Project ask the same of a node, whatever else has changed. */
export function asksAlike(left: ProjectObject, right: ProjectObject): boolean {
  const leftMove = left.status.move;
  const rightMove = right.status.move;
  return (
    left.metadata.uid === right.metadata.uid &&
    left.metadata.generation === right.metadata.generation &&
    leftMove?.from === rightMove?.from &&
    leftMove?.to === rightMove?.to
  );
}

function hostPortsOf(spec: ProjectSpec): readonly string[] {
  const ports: string[] = [];
  for (const { ports: published } of spec.services) {
    for (const { hostPort, protocol } of published ?? []) {
      if (hostPort !== undefined) {
        ports.push(`${hostPort}/${protocol ?? 'TCP'}`);
      }
    }
  }
  return ports.length < 2 ? ports : [...new Set(ports)];
}
