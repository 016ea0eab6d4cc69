/**
 * Project watch: which Projects the project controller must look at, and since when it has seen what.
 *
 * Owns     the Projects to look at now, a deadline per Project at which to look though nothing changed, which Projects are on which
 *          node, since when each has been Terminating or between two nodes, the loss tracker and the load. In memory, made anew at each start.
 * Never    reads a clock: every time is monotonic and the caller's.
 * Callers  project-controller.ts
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Amounts } from '../../api/resource-amounts.ts';
import { LossTracker } from './loss-tracker.ts';
import { NodeLoad } from './node-load.ts';
import type { Loss } from './node-loss.ts';
import { isBetweenNodes } from './project-move.ts';
import { isTerminating } from './project-status.ts';

export class ProjectWatch {
  readonly #losses = new LossTracker();
  readonly #load: NodeLoad;
  readonly #dirty = new Set<string>();
  /** Project -> monotonic ms */
  readonly #deadlineByProject = new Map<string, number>();
  /** Project -> what goes on with it that must end, and since when; nothing for most */
  readonly #transitions = new Map<string, { readonly key: string; readonly sinceMs: number }>();
  readonly #nodeByProject = new Map<string, string>();
  readonly #projectsByNode = new Map<string, Set<string>>();

  /** @param findNode the nodes as they are now */
  constructor(findNode: (name: string) => NodeObject | undefined) {
    this.#load = new NodeLoad(findNode);
  }

  /** Takes in how a node is now (undefined: it has no record); the Projects on it are to be looked at. */
  noteNode(name: string, node: NodeObject | undefined, nowMs: number): void {
    const projects = this.#projectsByNode.get(name);
    this.#losses.observe(name, node, nowMs);
    if (projects === undefined) {
      this.#losses.forgetMissing(name); // nobody is there to miss it
    }
    for (const project of projects ?? []) {
      this.#dirty.add(project);
    }
  }

  /** Takes in how a Project is now (undefined: it is gone). */
  noteProject(name: string, project: ProjectObject | undefined, nowMs: number): void {
    this.#place(name, project?.status.nodeRef);
    for (const other of this.#load.noteProject(name, project)) {
      this.#dirty.add(other);
    }
    if (project === undefined) {
      this.#dirty.delete(name);
      this.#deadlineByProject.delete(name);
      this.#transitions.delete(name);
      return;
    }
    this.#dirty.add(name);
    const key = transitionOf(project);
    if (key === undefined) {
      this.#transitions.delete(name);
    } else if (this.#transitions.get(name)?.key !== key) {
      this.#transitions.set(name, { key, sinceMs: nowMs });
    }
  }

  findLoss(node: string, nowMs: number): Loss | undefined {
    return this.#losses.find(node, nowMs);
  }

  /** What the Projects on its node that are older than it request, where all together request too much; else nothing. */
  sumOlder(project: ProjectObject): Amounts {
    return this.#load.sumOlder(project);
  }

  /** How long it has been Terminating, or between two nodes; 0 when it is neither. */
  inTransitionForMs(project: string, nowMs: number): number {
    const seen = this.#transitions.get(project);
    return seen === undefined ? 0 : nowMs - seen.sinceMs;
  }

  /** Asks for a look at `atMs` (Infinity: none) in place of what was asked for before. */
  lookAgain(project: string, atMs: number): void {
    if (atMs === Infinity) {
      this.#deadlineByProject.delete(project);
    } else {
      this.#deadlineByProject.set(project, atMs);
    }
  }

  /** Takes the names of those to look at now. */
  takeDue(nowMs: number): readonly string[] {
    for (const [project, deadlineMs] of this.#deadlineByProject) {
      if (deadlineMs <= nowMs) {
        this.#deadlineByProject.delete(project);
        this.#dirty.add(project);
      }
    }
    const due = [...this.#dirty];
    this.#dirty.clear();
    return due;
  }

  /** The earliest deadline; Infinity when there is none. */
  nextDueMs(): number {
    let earliestMs = Infinity;
    for (const deadlineMs of this.#deadlineByProject.values()) {
      earliestMs = Math.min(earliestMs, deadlineMs);
    }
    return earliestMs;
  }

  #place(project: string, node: string | undefined): void {
    const previous = this.#nodeByProject.get(project);
    if (previous === node) {
      return;
    }
    if (previous !== undefined) {
      const others = this.#projectsByNode.get(previous);
      others?.delete(project);
      if (others?.size === 0) {
        this.#projectsByNode.delete(previous);
        this.#losses.forgetMissing(previous);
      }
      this.#nodeByProject.delete(project);
    }
    if (node !== undefined) {
      this.#nodeByProject.set(project, node);
      this.#projectsByNode.set(node, (this.#projectsByNode.get(node) ?? new Set()).add(project));
    }
  }
}

/** Names the transition that the Project is in: another name is another transition, whose time begins anew. */
function transitionOf(project: ProjectObject): string | undefined {
  const { metadata, status } = project;
  if (isTerminating(project)) {
    return `${metadata.uid} terminating`;
  }
  return isBetweenNodes(project) ? `${metadata.uid} moving ${status.move?.requestedAt} ${status.move?.to}` : undefined;
}
