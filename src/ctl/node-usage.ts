/** What is asked for on a node against what it has to give; pure. Callers: commands/top.ts, output/describe-node.ts. */
import type { NodeObject } from '../api/node.ts';
import type { ProjectObject } from '../api/project.ts';
import { placeOf, readAllocatable, RESOURCES, sumRequests, type Amounts, type Resource } from '../api/resource-amounts.ts';

/** Of one resource of one node, in thousandths of a CPU or bytes. What the node does not report is undefined. */
export interface ResourceUsage {
  readonly resource: Resource;
  /** sum of the requests of the Projects placed there */
  readonly asked: number;
  readonly allocatable: number | undefined;
  /** below 0 where more is asked for than there is, as when the node has shrunk */
  readonly left: number | undefined;
  /** of allocatable, rounded down */
  readonly percent: number | undefined;
}

export interface NodeUsage {
  readonly node: NodeObject;
  readonly projectCount: number;
  /** cpu, memory, disk */
  readonly resources: readonly ResourceUsage[];
}

/** @param projects all, or at least those bound to these nodes */
export function listNodeUsage(nodes: readonly NodeObject[], projects: readonly ProjectObject[]): readonly NodeUsage[] {
  const projectsByNode = Map.groupBy(projects, placeOf);
  return nodes.map((node) => usageOf(node, projectsByNode.get(node.metadata.name) ?? []));
}

function usageOf(node: NodeObject, projects: readonly ProjectObject[]): NodeUsage {
  const allocatable = readAllocatable(node.status);
  const requests = projects.map(readRequests);
  const resources = RESOURCES.map((resource): ResourceUsage => {
    const asked = requests.reduce((sum, amounts) => sum + amounts[resource.unit], 0);
    const total = allocatable[resource.unit];
    return {
      resource,
      asked,
      allocatable: total,
      left: total === undefined ? undefined : total - asked,
      percent: total === undefined ? undefined : percentOf(asked, total),
    };
  });
  return { node, projectCount: projects.length, resources };
}

function percentOf(asked: number, total: number): number | undefined {
  return total > 0 ? Math.floor((100 * asked) / total) : asked > 0 ? undefined : 0;
}

const NOTHING: Amounts = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };

/** As the scheduler does: what cannot be read (no manifest gets in like that) asks for nothing. */
function readRequests({ spec }: ProjectObject): Amounts {
  try {
    return sumRequests(spec);
  } catch (error) {
    if (error instanceof RangeError) {
      return NOTHING;
    }
    throw error;
  }
}
