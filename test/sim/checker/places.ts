/**
 * Where Projects stay and when they go. A Project leaves its node only because it was asked to, or because the node is lost and its
 * `onNodeLost` says so; and then it does leave, or becomes Failed, in time. And it ends when its time is up.
 */
import { findCondition } from '../../../src/api/condition.ts';
import type { NodeObject } from '../../../src/api/node.ts';
import type { ProjectObject } from '../../../src/api/project.ts';
import { isGoing, type Ledger } from '../ledger.ts';
import { lossOf } from '../workload.ts';
import { NODE_TIMEOUT_MS, type World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const SLACK_MS = 1500; // to what a process has seen with its own eyes
const ACT_MS = 15_000; // within which what is due is done
const EXPIRY_MS = 70_000; // a far expiry is looked at each minute

interface Lost {
  readonly sinceMs: number;
  /** its record is gone: whether it had fallen silent before is not known to who leads since */
  readonly isGone: boolean;
}

export class PlaceChecker {
  readonly #world: World;
  readonly #violate: (text: string) => void;
  readonly #nodes = new Map<string, NodeObject>();
  /** nodes that are NotReady or gone */
  readonly #lost = new Map<string, Lost>();
  /** what was last said of those that are so no more, and the version that said it: news of nodes and of Projects come apart */
  readonly #found = new Map<string, { readonly lost: Lost; readonly version: number }>();
  /** nodes that can be given something -> since when */
  readonly #open = new Map<string, number>();
  readonly #projects = new Map<string, ProjectObject>(); // by uid
  /** Projects that were given up with their node, and are so no more: judged when the news of the node are in too */
  #taken: { readonly name: string; readonly node: string; readonly atMs: number }[] = [];
  /** Project -> when it was last on its way, without a node, or gone */
  readonly #loose = new Map<string, number>();

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    this.#violate = violate;
    chronicle.onChange(({ atMs, change: { type, object } }) => {
      if (object.kind === 'Node') {
        this.#noteNode(object as NodeObject, { atMs, isGone: type === 'DELETED' });
      } else if (object.kind === 'Project') {
        this.#noteProject(object as ProjectObject, { atMs, isGone: type === 'DELETED' });
      }
    });
  }

  #noteNode(node: NodeObject, { atMs, isGone }: { readonly atMs: number; readonly isGone: boolean }): void {
    const { name } = node.metadata;
    const { state } = node.status;
    const before = this.#lost.get(name);
    if (isGone) {
      this.#lost.set(name, { sinceMs: before?.sinceMs ?? atMs, isGone });
      this.#nodes.delete(name);
    } else {
      this.#nodes.set(name, node);
      if (state === 'NotReady') {
        this.#lost.set(name, { sinceMs: before?.sinceMs ?? atMs, isGone });
      } else {
        this.#lost.delete(name);
        if (before !== undefined) {
          this.#found.set(name, { lost: before, version: Number(node.metadata.resourceVersion) });
        }
      }
    }
    if (isGone || state !== 'Ready' || node.spec.unschedulable) {
      this.#open.delete(name);
    } else if (!this.#open.has(name)) {
      this.#open.set(name, atMs);
    }
  }

  #noteProject(project: ProjectObject, { atMs, isGone }: { readonly atMs: number; readonly isGone: boolean }): void {
    const { uid, name } = project.metadata;
    const before = this.#projects.get(uid);
    if (isGone || project.status.move !== undefined || project.status.nodeRef === undefined || isGoing(project)) {
      this.#loose.set(name, atMs);
    }
    if (isGone) {
      this.#projects.delete(uid);
      return;
    }
    this.#projects.set(uid, project);
    const from = before?.status.nodeRef;
    const wasGivenUp = before?.status.phase === 'Failed' && before.status.reason === 'NodeLost';
    if (wasGivenUp && project.status.phase === 'Running' && from !== undefined) {
      this.#taken.push({ name, node: from, atMs });
    }
    if (before === undefined || from === undefined || project.status.nodeRef === from || before.status.move !== undefined) {
      return;
    }
    const { action, afterMs } = lossOf(name);
    const lost = this.#lost.get(from) ?? this.#lostAt(from, Number(project.metadata.resourceVersion));
    const lostForMs = lost === undefined ? -1 : atMs - lost.sinceMs;
    if (action !== 'Reschedule') {
      this.#violate(`promise 2: ${name} was taken from ${from} though it is to ${action === 'Keep' ? 'stay' : 'fail'} there`);
    } else if (lostForMs < afterMs - SLACK_MS) {
      const why = lost === undefined ? 'which is well' : `which was lost for ${Math.round(lostForMs)} ms alone`;
      this.#violate(`promise 2: ${name} was taken from ${from}, ${why}`);
    }
  }

  /** Of a node that has been found since. */
  #lostAt(node: string, version: number): Lost | undefined {
    const found = this.#found.get(node);
    return found !== undefined && found.version > version ? found.lost : undefined;
  }

  /** To be called once a second. @param steadySinceMs since when the server has run without a stop; undefined: it does not */
  tick(projects: readonly ProjectObject[], steadySinceMs: number | undefined): void {
    const nowMs = this.#world.clock.monotonicMs();
    for (const { name, node, atMs } of this.#taken) {
      if ((this.#lost.get(node)?.sinceMs ?? Infinity) < atMs) {
        this.#violate(`promise 6: ${name} was given up with ${node}, and called Running while that was still lost`);
      }
    }
    this.#taken = [];
    for (const project of steadySinceMs === undefined ? [] : projects) {
      if (steadySinceMs !== undefined) {
        this.#checkExpiry(project, nowMs - steadySinceMs);
        this.#checkLoss(project, { nowMs, steadySinceMs });
      }
    }
  }

  /** Those that a drain said would leave: they were asked by then, or had left before. */
  checkMoves(moves: Ledger['moves'], projects: readonly ProjectObject[]): void {
    for (const { project: name, machine, askedAtMs } of moves.splice(0)) {
      const status = projects.find(({ metadata }) => metadata.name === name)?.status;
      const isHere = status?.nodeRef === machine && status.move === undefined;
      if (isHere && (this.#loose.get(name) ?? -Infinity) < askedAtMs) {
        this.#violate(`promise 4: ${name} was said to leave ${machine}, and was not asked to`);
      }
    }
  }

  #checkExpiry(project: ProjectObject, steadyForMs: number): void {
    const { server, clock } = this.#world;
    const { metadata, spec } = project;
    const ttlMs = 1000 * Number.parseInt(spec.ttl ?? '', 10); // as people say it, from its creation on
    if (Number.isNaN(ttlMs) || server.servers.some(({ aheadMs }) => aheadMs !== 0)) {
      return; // by a clock that jumps
    }
    const { name } = metadata;
    const overMs = clock.wallMs() - Date.parse(metadata.createdAt) - ttlMs;
    if (!isGoing(project) && overMs > EXPIRY_MS && steadyForMs > EXPIRY_MS) {
      this.#violate(`promise 9: ${name} is ${project.status.phase} though its time was up ${Math.round(overMs)} ms ago`);
    }
    if (project.status.reason === 'Expired' && overMs < 0) {
      this.#violate(`promise 4: ${name} expired ${Math.round(-overMs)} ms early`);
    }
  }

  #checkLoss(project: ProjectObject, { nowMs, steadySinceMs }: { readonly nowMs: number; readonly steadySinceMs: number }): void {
    const { metadata, spec, status } = project;
    const { nodeRef } = status;
    const lost = nodeRef === undefined ? undefined : this.#lost.get(nodeRef);
    if (nodeRef === undefined || lost === undefined || isGoing(project)) {
      return;
    }
    const { action, afterMs, fence } = lossOf(metadata.name);
    const waitedMs = nowMs - Math.max(lost.sinceMs, steadySinceMs) - (lost.isGone ? NODE_TIMEOUT_MS : 0) - ACT_MS;
    const hasRefuge = this.#open.entries().some(([name, sinceMs]) => name !== nodeRef && nowMs - sinceMs > ACT_MS);
    const isLeftAlone = lost.isGone && spec.onNodeLost?.action === undefined;
    const where = `is ${status.phase} on ${nodeRef}, which was lost ${Math.round(nowMs - lost.sinceMs)} ms ago`;
    if (action === 'Reschedule' && !fence && !isLeftAlone && hasRefuge && waitedMs > afterMs) {
      this.#violate(`promise 5: ${metadata.name} ${where}, and has not been moved`);
    }
    if (action === 'Fail' && status.move === undefined && waitedMs > afterMs && status.phase !== 'Failed') {
      this.#violate(`promise 6: ${metadata.name} ${where}`);
    }
    if (waitedMs > 0 && findCondition(status.conditions, 'NodeReachable')?.status !== 'False') {
      this.#violate(`promise 6: ${metadata.name} ${where}, and does not say so`);
    }
  }
}
