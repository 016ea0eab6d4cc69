/**
 * Scores: which of the nodes that pass is best. Least allocated, then fewest Projects, then name; pure.
 *
 * Source   Kubernetes' NodeResourcesFit, strategy LeastAllocated, which counts in whole percents too.
 */
import type { Demand } from './demand.ts';
import type { NodeView } from './snapshot.ts';

/**
 * How much of the node's CPU and memory would be left with the Project on it, 0 to 100 percent, the mean of both. In whole
 * percents, so that nodes of about the same load are alike and the count of Projects spreads. Disk counts in the filter alone: an empty
 * disk says nothing about how busy a machine is. A resource that the node does not report counts as none left.
 */
export function scoreLeastAllocated({ allocatable, placed }: NodeView, { amounts }: Demand): number {
  return scoreLeft(
    { total: allocatable.cpuMillis ?? 0, used: placed.cpuMillis + amounts.cpuMillis },
    { total: allocatable.memoryBytes ?? 0, used: placed.memoryBytes + amounts.memoryBytes },
  );
}

interface Share {
  readonly total: number;
  readonly used: number;
}

/** The score of what would be used of CPU and memory. */
export function scoreLeft(cpu: Share, memory: Share): number {
  return Math.floor((shareLeft(cpu) + shareLeft(memory)) * 50);
}

/** Negative when `left` goes before `right`. */
export function compareCandidates(left: NodeView, leftScore: number, right: NodeView, rightScore: number): number {
  return rightScore - leftScore || left.projectCount - right.projectCount || (left.name < right.name ? -1 : 1);
}

function shareLeft({ total, used }: Share): number {
  return total === 0 ? 0 : Math.max(0, (total - used) / total);
}
