/**
 * Snapshot: the fleet as the scheduler sees it, kept up to date change by change.
 *
 * Owns     per node what is placed there (sum of requests, host ports), counted from the Projects bound to its name. A Project whose
 *          node has no record goes on counting: the record may come back with the containers still running.
 * Never    goes back: a node or Project older than what is already here is ignored, so that a binding just written counts
 *          although the mirror has not shown it yet.
 * Callers  fleet-view.ts feeds it; scheduling-round.ts hands its views to place.ts, which only read.
 * Source   Kubernetes' scheduler cache (assumed pods).
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { RESOURCES, placeOf, type Allocatable, type Amounts } from '../../api/resource-amounts.ts';
import { asksAlike, deriveDemand, type Demand } from './demand.ts';
import { refuseState } from './filters.ts';
import { KnownAmounts } from './known-amounts.ts';
import { NodeRing, type Placeable } from './node-ring.ts';

/** One node and what is placed on it. A live view: do not keep it over an await. */
export interface NodeView {
  readonly name: string;
  readonly node: NodeObject;
  /** whether it takes nothing at all, worked out once: a search goes through many nodes */
  readonly stateRefusal: ReturnType<typeof refuseState>;
  /** undefined for a resource that the node does not report */
  readonly allocatable: Allocatable;
  readonly placed: Amounts;
  readonly projectCount: number;
  /** host port as `80/TCP` -> name of a Project that has it */
  findPortHolder(port: string): string | undefined;
}

/** What a Project asks for, and of which node; changed in place. */
interface Claim {
  project: ProjectObject;
  version: number;
  nodeRef: string | undefined;
  demand: Demand;
}

const NOTHING: Demand = deriveDemand({ services: [] });

/** What is placed on a node. */
class Usage implements Amounts {
  cpuMillis = 0;
  memoryBytes = 0;
  diskBytes = 0;
  /** host port -> names of the Projects that have it; more than one where a change of spec made it so. Undefined: no port is taken */
  portHolders: Map<string, Set<string>> | undefined; // an empty Map takes 180 bytes, and most nodes have none
  projectCount = 0;

  add(project: string, demand: Demand): void {
    this.#count(demand.amounts, 1);
    for (const port of demand.hostPorts) {
      this.portHolders ??= new Map();
      const holders = this.portHolders.get(port) ?? new Set();
      this.portHolders.set(port, holders.add(project));
    }
  }

  remove(project: string, demand: Demand): void {
    this.#count(demand.amounts, -1);
    for (const port of demand.hostPorts) {
      const holders = this.portHolders?.get(port);
      holders?.delete(project);
      if (holders?.size === 0) {
        this.portHolders?.delete(port);
      }
    }
  }

  #count(amounts: Amounts, sign: 1 | -1): void {
    this.projectCount += sign;
    for (const { unit } of RESOURCES) {
      this[unit] += sign * amounts[unit];
    }
  }
}

/** Of the nodes on which nothing is placed; nothing is ever added to it. */
const IDLE = new Usage();

class View implements Placeable {
  readonly name: string;
  node: NodeObject;
  stateRefusal: ReturnType<typeof refuseState>;
  allocatable: Allocatable;
  usage: Usage;
  place: number | undefined;

  constructor(node: NodeObject, allocatable: Allocatable, usage: Usage) {
    this.name = node.metadata.name;
    this.node = node;
    this.stateRefusal = refuseState(node);
    this.allocatable = allocatable;
    this.usage = usage;
  }

  get placed(): Amounts {
    return this.usage;
  }

  get projectCount(): number {
    return this.usage.projectCount;
  }

  findPortHolder(port: string): string | undefined {
    return this.usage.portHolders?.get(port)?.values().next().value;
  }
}

export class Snapshot {
  readonly #views = new Map<string, View>();
  /** the same, to be searched */
  readonly ring = new NodeRing(this.#views);
  /** of the nodes on which something is placed, and of names that have no record any more */
  readonly #usageByNode = new Map<string, Usage>();
  readonly #amounts = new KnownAmounts();
  readonly #claimByProject = new Map<string, Claim>();
  #roomEpoch = 0;

  /** Moves whenever something happened that could make room for a Project that found none, or change why it found none. */
  get roomEpoch(): number {
    return this.#roomEpoch;
  }

  /** name -> node; a live view */
  get nodes(): ReadonlyMap<string, NodeView> {
    return this.#views;
  }

  setNode(node: NodeObject): void {
    const { name } = node.metadata;
    const view = this.#views.get(name);
    if (view === undefined) {
      const added = new View(node, this.#amounts.read(node.status), this.#usageByNode.get(name) ?? IDLE);
      this.#views.set(name, added);
      this.ring.add(added);
      this.#roomEpoch += 1;
      return;
    }
    const before = view.node;
    if (versionOf(before) >= versionOf(node)) {
      return;
    }
    view.node = node;
    view.stateRefusal = refuseState(node);
    if (before.status.allocatable !== node.status.allocatable) {
      view.allocatable = this.#amounts.read(node.status); // not each time: most changes are of state and conditions
    }
    this.ring.note(view);
    if (!answersAlike(before, node)) {
      this.#roomEpoch += 1;
    }
  }

  removeNode(name: string): void {
    const view = this.#views.get(name);
    if (view !== undefined) {
      this.#views.delete(name);
      this.ring.delete(view);
      this.#roomEpoch += 1;
    }
  }

  /** @returns whether it was newer than what is here */
  setProject(project: ProjectObject): boolean {
    const { name } = project.metadata;
    const previous = this.#claimByProject.get(name);
    const version = versionOf(project);
    if (previous !== undefined && previous.version >= version) {
      return false;
    }
    const isSameDemand = previous !== undefined && asksAlike(previous.project, project);
    const demand = isSameDemand ? previous.demand : readDemand(project);
    const nodeRef = placeOf(project);
    if (previous === undefined) {
      const claim: Claim = { project, version, nodeRef, demand };
      this.#claimByProject.set(name, claim);
      this.#count(name, claim);
      return true;
    }
    const isMoved = previous.nodeRef !== nodeRef || !isSameDemand;
    if (isMoved) {
      this.#release(name, previous);
    }
    previous.project = project;
    previous.version = version;
    previous.nodeRef = nodeRef;
    previous.demand = demand;
    if (isMoved) {
      this.#count(name, previous);
    }
    return true;
  }

  removeProject(name: string): void {
    const previous = this.#claimByProject.get(name);
    if (previous !== undefined) {
      this.#claimByProject.delete(name);
      this.#release(name, previous);
    }
  }

  /**
   * Counts a Project on `node` (undefined: takes it off again) before the store has it, while it still is at `version`;
   * any newer version of it replaces the assumption.
   */
  assume(project: string, node: string | undefined, version: number): void {
    const claim = this.#claimByProject.get(project);
    if (claim?.version === version) {
      this.#release(project, claim);
      claim.nodeRef = node;
      this.#count(project, claim);
    }
  }

  /** What a Project in here asks for. */
  findDemand(name: string): Demand | undefined {
    return this.#claimByProject.get(name)?.demand;
  }

  /** The node that a Project in here counts on. */
  findNode(name: string): string | undefined {
    return this.#claimByProject.get(name)?.nodeRef;
  }

  #count(project: string, { nodeRef, demand }: Claim): void {
    if (nodeRef !== undefined) {
      const usage = this.#usageByNode.get(nodeRef) ?? new Usage();
      usage.add(project, demand);
      this.#setUsage(nodeRef, usage);
    }
  }

  #release(project: string, { nodeRef, demand }: Claim): void {
    if (nodeRef !== undefined) {
      const usage = this.#usageByNode.get(nodeRef) ?? new Usage();
      usage.remove(project, demand);
      this.#setUsage(nodeRef, usage);
      this.#roomEpoch += 1;
    }
  }

  #setUsage(node: string, usage: Usage): void {
    if (usage.projectCount === 0) {
      this.#usageByNode.delete(node);
    } else {
      this.#usageByNode.set(node, usage);
    }
    const view = this.#views.get(node);
    if (view !== undefined) {
      view.usage = usage.projectCount === 0 ? IDLE : usage;
      this.ring.note(view);
    }
  }
}

/** The store's version of an object, to tell older from newer. */
export function versionOf(object: { readonly metadata: { readonly resourceVersion: string } }): number {
  return Number(object.metadata.resourceVersion);
}

/** A Project whose requests cannot be read (no manifest gets in like that) asks for nothing: one bad record must not stop the scheduler. */
function readDemand(project: ProjectObject): Demand {
  try {
    return deriveDemand(project.spec, { move: project.status.move });
  } catch (error) {
    if (error instanceof RangeError) {
      return NOTHING;
    }
    throw error;
  }
}

/** Tells whether both answer every Project alike: heartbeats that change an address must not wake those that found no room. */
function answersAlike(left: NodeObject, right: NodeObject): boolean {
  return (
    left.status.state === right.status.state &&
    left.spec.unschedulable === right.spec.unschedulable &&
    RESOURCES.every(({ name }) => left.status.allocatable?.[name] === right.status.allocatable?.[name]) &&
    (left.metadata.labels === right.metadata.labels || JSON.stringify(left.metadata.labels) === JSON.stringify(right.metadata.labels))
  );
}
