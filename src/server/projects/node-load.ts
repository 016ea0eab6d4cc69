/**
 * Node load: what the Projects on each node request together, and what each node has to give.
 *
 * Owns     node -> Projects on it and their requests, in memory; made anew at each start. Nothing of nodes that have none.
 * Never    chooses: the scheduler has its own view, which counts what it is about to place too.
 * Callers  project-watch.ts
 */
import type { NodeObject, ResourceAmounts } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { placeOf, RESOURCES, readAllocatable, sumRequests, type Allocatable, type Amounts } from '../../api/resource-amounts.ts';
import { compareProjectAge } from '../scheduler/pending-queue.ts';

interface Load {
  readonly node: string;
  readonly project: ProjectObject;
  readonly amounts: Amounts;
}

/** A node that has Projects. */
interface Loaded {
  readonly projects: Set<string>;
  /** what they request together */
  sum: Amounts;
  /** what it has to give, and what that was read from: most changes of a node are of state and conditions */
  allocatable: Allocatable;
  from: ResourceAmounts | undefined;
}

const NOTHING: Amounts = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
const UNKNOWN: Allocatable = { cpuMillis: undefined, memoryBytes: undefined, diskBytes: undefined };

export class NodeLoad {
  readonly #findNode: (name: string) => NodeObject | undefined;
  /** Project -> where it takes room */
  readonly #loads = new Map<string, Load>();
  /** node -> the Projects that take room on it */
  readonly #nodes = new Map<string, Loaded>();

  constructor(findNode: (name: string) => NodeObject | undefined) {
    this.#findNode = findNode;
  }

  /** @returns Projects of which it may have changed whether they fit their node: those of a node that has, or had, too much on it */
  noteProject(name: string, project: ProjectObject | undefined): Iterable<string> {
    const before = this.#loads.get(name);
    const node = project && placeOf(project);
    const isSame = before !== undefined && before.node === node && isAlike(before.project, project);
    if (isSame || (before === undefined && node === undefined)) {
      return [];
    }
    const nodes = new Set([before?.node, node].filter((other) => other !== undefined));
    const wereOver = [...nodes].filter((other) => this.#isOver(other));
    this.#remove(name);
    if (project !== undefined && node !== undefined) {
      this.#add({ node, project, amounts: sumRequests(project.spec) });
    }
    const touched = [...nodes].filter((other) => wereOver.includes(other) || this.#isOver(other));
    return touched.flatMap((other) => [...(this.#nodes.get(other)?.projects ?? [])]);
  }

  /** What the Projects on its node that are older than it request. */
  sumOlder(project: ProjectObject): Amounts {
    const node = placeOf(project);
    if (node === undefined || !this.#isOver(node)) {
      return NOTHING;
    }
    let sum = NOTHING;
    for (const name of this.#nodes.get(node)?.projects ?? []) {
      const load = this.#loads.get(name);
      if (load !== undefined && name !== project.metadata.name && compareProjectAge(load.project, project) < 0) {
        sum = plus(sum, load.amounts, 1);
      }
    }
    return sum;
  }

  #add(load: Load): void {
    const { node, project, amounts } = load;
    const { name } = project.metadata;
    this.#loads.set(name, load);
    const loaded: Loaded = this.#nodes.get(node) ?? { projects: new Set(), sum: NOTHING, allocatable: UNKNOWN, from: undefined };
    loaded.projects.add(name);
    loaded.sum = plus(loaded.sum, amounts, 1);
    this.#nodes.set(node, loaded);
  }

  #remove(name: string): void {
    const load = this.#loads.get(name);
    if (load === undefined) {
      return;
    }
    const { node, amounts } = load;
    this.#loads.delete(name);
    const loaded = this.#nodes.get(node);
    if (loaded !== undefined) {
      loaded.projects.delete(name);
      loaded.sum = plus(loaded.sum, amounts, -1);
    }
    if (loaded?.projects.size === 0) {
      this.#nodes.delete(node);
    }
  }

  #isOver(node: string): boolean {
    const loaded = this.#nodes.get(node);
    if (loaded === undefined) {
      return false;
    }
    const status = this.#findNode(node)?.status;
    if (status?.allocatable !== loaded.from) {
      loaded.from = status?.allocatable;
      loaded.allocatable = status === undefined ? UNKNOWN : readAllocatable(status);
    }
    const { sum, allocatable } = loaded;
    return RESOURCES.some(({ unit }) => sum[unit] > (allocatable[unit] ?? Infinity));
  }
}

/** Tells whether two versions of a Project request the same. */
function isAlike(left: ProjectObject, right: ProjectObject | undefined): boolean {
  return left.metadata.uid === right?.metadata.uid && left.metadata.generation === right.metadata.generation;
}

function plus(left: Amounts, right: Amounts, sign: 1 | -1): Amounts {
  return {
    cpuMillis: left.cpuMillis + sign * right.cpuMillis,
    memoryBytes: left.memoryBytes + sign * right.memoryBytes,
    diskBytes: left.diskBytes + sign * right.diskBytes,
  };
}
