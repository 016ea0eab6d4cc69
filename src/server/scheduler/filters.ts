/**
 * Filters: what must hold for a Project to be placed on a node, in one fixed order; pure, and without allocation where it holds: a search
 * looks at 64 nodes and more, and with a closure in it for each it made half of a placement's garbage.
 */
import type { NodeObject } from '../../api/node.ts';
import type { Demand } from './demand.ts';
import type { NodeView } from './snapshot.ts';

/** Why a node is refused; a node is counted under the first that applies. */
export const REFUSALS = [
  'NotWished',
  'NotReady',
  'Draining',
  'LeftOnRequest',
  'FailedBefore',
  'SelectorMismatch',
  'CpuUnreported',
  'CpuLacking',
  'MemoryUnreported',
  'MemoryLacking',
  'DiskUnreported',
  'DiskLacking',
  'HostPortTaken',
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** The first filter that refuses the node, or undefined when the Project may be placed there. */
export function findRefusal(view: NodeView, demand: Demand): Refusal | undefined {
  return (
    (demand.wishedNode === undefined || demand.wishedNode === view.name ? undefined : 'NotWished') ??
    view.stateRefusal ??
    (demand.leftNode === view.name ? 'LeftOnRequest' : undefined) ??
    (demand.failedNodes.includes(view.name) ? 'FailedBefore' : undefined) ??
    (matchesSelector(view.node, demand.nodeSelector) ? undefined : 'SelectorMismatch') ??
    refuseAmounts(view, demand) ??
    (findTakenPort(view, demand) === undefined ? undefined : 'HostPortTaken')
  );
}

/** `spec.unschedulable` counts by itself: the scheduler stops at once, also before the state has followed. */
export function refuseState({ spec, status }: NodeObject): 'NotReady' | 'Draining' | undefined {
  if (status.state === 'NotReady') {
    return 'NotReady';
  }
  return spec.unschedulable || status.state === 'Draining' ? 'Draining' : undefined;
}

export function matchesSelector(node: NodeObject, nodeSelector: Demand['nodeSelector']): boolean {
  for (const [key, value] of nodeSelector) {
    const { labels } = node.metadata;
    if (!Object.hasOwn(labels, key) || labels[key] !== value) {
      return false;
    }
  }
  return true;
}

/** The first host port asked for that a Project on the node has. */
export function findTakenPort(view: NodeView, demand: Demand): string | undefined {
  for (const port of demand.hostPorts) {
    if (view.findPortHolder(port) !== undefined) {
      return port;
    }
  }
  return undefined;
}

/** What is not asked for fits everywhere, also on a node that has too much placed on it already or does not report: it is not even read. */
function refuseAmounts({ allocatable, placed }: NodeView, { amounts }: Demand): Refusal | undefined {
  const { cpuMillis, memoryBytes, diskBytes } = amounts;
  return (
    (cpuMillis === 0 ? undefined : refuseAmount(cpuMillis, allocatable.cpuMillis, placed.cpuMillis, CPU)) ??
    (memoryBytes === 0 ? undefined : refuseAmount(memoryBytes, allocatable.memoryBytes, placed.memoryBytes, MEMORY)) ??
    (diskBytes === 0 ? undefined : refuseAmount(diskBytes, allocatable.diskBytes, placed.diskBytes, DISK))
  );
}

interface AmountRefusals {
  readonly unreported: Refusal;
  readonly lacking: Refusal;
}

const CPU: AmountRefusals = { unreported: 'CpuUnreported', lacking: 'CpuLacking' };
const MEMORY: AmountRefusals = { unreported: 'MemoryUnreported', lacking: 'MemoryLacking' };
const DISK: AmountRefusals = { unreported: 'DiskUnreported', lacking: 'DiskLacking' };

function refuseAmount(asked: number, allocatable: number | undefined, placed: number, refusals: AmountRefusals): Refusal | undefined {
  if (allocatable === undefined) {
    return refusals.unreported;
  }
  return asked > allocatable - placed ? refusals.lacking : undefined;
}
