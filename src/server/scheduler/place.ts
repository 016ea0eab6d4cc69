/** Place: the decision of the scheduler. Nodes and a demand in; a node, or every refusal counted, out; pure. */
import type { Amounts } from '../../api/resource-amounts.ts';
import type { Demand } from './demand.ts';
import { type Refusal, findRefusal, findTakenPort } from './filters.ts';
import { compareCandidates, scoreLeastAllocated } from './scores.ts';
import type { NodeView } from './snapshot.ts';

/** How many nodes refuse for one reason, with what a person needs to mend it. */
export interface RefusalCount {
  readonly refusal: Refusal;
  readonly count: number;
  /** for a lacking resource: the most that any of these nodes has free, in the unit of its sums */
  readonly freeAtMost?: number;
  /** for a host port: which, as `80/TCP`, and a Project that has it on one of these nodes */
  readonly port?: string;
  readonly holder?: string;
}

export type Placement = { readonly node: NodeView } | { readonly node: undefined; readonly refusals: readonly RefusalCount[] };

/** The best node that passes every filter. The order of `nodes` does not matter. */
export function place(nodes: ReadonlyMap<string, NodeView>, demand: Demand): Placement {
  let best: NodeView | undefined;
  let bestScore = 0;
  for (const view of nodes.values()) {
    if (findRefusal(view, demand) === undefined) {
      const score = scoreLeastAllocated(view, demand);
      if (best === undefined || compareCandidates(view, score, best, bestScore) < 0) {
        best = view;
        bestScore = score;
      }
    }
  }
  // the refusals are counted in a pass of their own, so that a placement that succeeds allocates nothing per node
  return best === undefined ? { node: undefined, refusals: countRefusals(nodes, demand) } : { node: best };
}

/** Counts each node that refuses once, under its first reason. */
export function countRefusals(nodes: ReadonlyMap<string, NodeView>, demand: Demand): readonly RefusalCount[] {
  const counts = new Map<string, RefusalCount>();
  for (const view of nodes.values()) {
    const refusal = findRefusal(view, demand);
    if (refusal !== undefined) {
      const counted = countOne(refusal, view, demand);
      const key = counted.port === undefined ? refusal : `${refusal} ${counted.port}`;
      counts.set(key, merge(counts.get(key), counted));
    }
  }
  return [...counts.values()];
}

const LACKING: Readonly<Partial<Record<Refusal, keyof Amounts>>> = {
  CpuLacking: 'cpuMillis',
  MemoryLacking: 'memoryBytes',
  DiskLacking: 'diskBytes',
};

function countOne(refusal: Refusal, view: NodeView, demand: Demand): RefusalCount {
  const unit = LACKING[refusal];
  if (unit !== undefined) {
    return { refusal, count: 1, freeAtMost: Math.max(0, (view.allocatable[unit] ?? 0) - view.placed[unit]) };
  }
  const port = refusal === 'HostPortTaken' ? findTakenPort(view, demand) : undefined;
  const holder = port === undefined ? undefined : view.findPortHolder(port);
  return { refusal, count: 1, ...(port !== undefined && { port }), ...(holder !== undefined && { holder }) };
}

function merge(previous: RefusalCount | undefined, next: RefusalCount): RefusalCount {
  if (previous === undefined) {
    return next;
  }
  const freeAtMost = Math.max(previous.freeAtMost ?? 0, next.freeAtMost ?? 0);
  return { ...previous, count: previous.count + 1, ...(previous.freeAtMost !== undefined && { freeAtMost }) };
}
