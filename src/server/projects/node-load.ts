/**
 * Node load: what the Projects on each node request together, and what each node has to give.
 *
 * Owns     node -> Projects on it and their requests, in memory; made anew at each start.
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

const NOTHING: Amounts = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };
const UNKNOWN: Allocatable = { cpuMillis: undefined, memoryBytes: undefined, diskBytes: undefined };

export class NodeLoad {
  /** Project -> where it takes room */
  readonly #loads = new Map<string, Load>();
  /** node -> Projects that take room on it */
  readonly #projectsByNode = new Map<string, Set<string>>();
  /** node -> sum of their requests */
  readonly #sumByNode = new Map<string, Amounts>();
  /** node -> what it has to give, as read, and what it was read from */
  readonly #allocatable = new Map<string, { readonly from: ResourceAmounts | undefined; readonly amounts: Allocatable }>();

  noteNode(name: string, node: NodeObject | undefined): void {
    if (node === undefined) {
      this.#allocatable.delete(name);
      return;
    }
    const from = node.status.allocatable;
    const known = this.#allocatable.get(name);
    if (known === undefined || known.from !== from) {
      this.#allocatable.set(name, { from, amounts: readAllocatable(node.status) }); // most changes are of state and conditions
    }
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
    return touched.flatMap((other) => [...(this.#projectsByNode.get(other) ?? [])]);
  }

  /** What the Projects on its node that are older than it request. */
  sumOlder(project: ProjectObject): Amounts {
    const node = placeOf(project);
    if (node === undefined || !this.#isOver(node)) {
      return NOTHING;
    }
    let sum = NOTHING;
    for (const name of this.#projectsByNode.get(node) ?? []) {
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
    this.#projectsByNode.set(node, (this.#projectsByNode.get(node) ?? new Set()).add(name));
    this.#sumByNode.set(node, plus(this.#sumByNode.get(node) ?? NOTHING, amounts, 1));
  }

  #remove(name: string): void {
    const load = this.#loads.get(name);
    if (load === undefined) {
      return;
    }
    const { node, amounts } = load;
    this.#loads.delete(name);
    const others = this.#projectsByNode.get(node);
    others?.delete(name);
    if (others === undefined || others.size === 0) {
      this.#projectsByNode.delete(node);
      this.#sumByNode.delete(node);
    } else {
      this.#sumByNode.set(node, plus(this.#sumByNode.get(node) ?? NOTHING, amounts, -1));
    }
  }

  #isOver(node: string): boolean {
    const sum = this.#sumByNode.get(node) ?? NOTHING;
    const allocatable = this.#allocatable.get(node)?.amounts ?? UNKNOWN;
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
