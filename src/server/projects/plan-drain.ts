/**
 * Plan of a drain: what would become of each Project that is asked to leave a node; pure.
 *
 * One after the other, oldest first, as the scheduler will place them: each counts where it would go before the next is looked at, and
 * before all of them those of the whole fleet that are on their way already, so that no room is promised twice. It is a forecast all
 * the same: the scheduler decides when a Project has left, by what there is then.
 * Callers  move-service.ts
 */
import type { DrainEntry, DrainReason } from '../../api/project/drain.ts';
import { formatDuration } from '../../api/duration.ts';
import type { NodeObject } from '../../api/node.ts';
import { isLeaving } from '../../api/project/leaving.ts';
import { deriveLossPolicy } from '../../api/project/loss-policy.ts';
import type { ProjectObject, Volume } from '../../api/project.ts';
import { keyOf, type Demand } from '../scheduler/demand.ts';
import { describeRefusal, explain } from '../scheduler/explain.ts';
import { compareProjectAge } from '../scheduler/pending-queue.ts';
import { place } from '../scheduler/place.ts';
import { type NodeView, type Snapshot, versionOf } from '../scheduler/snapshot.ts';
import { isTerminating } from './project-status.ts';

export interface DrainQuestion {
  /** the record of the node to leave; undefined: it has none */
  readonly node: NodeObject | undefined;
  /** those to judge, all of them on it */
  readonly projects: readonly ProjectObject[];
  /** the only node they may go to */
  readonly to: string | undefined;
}

/** @param snapshot all nodes and all Projects; what is planned is counted in it @returns an entry for each Project, oldest first */
export function planDrain(question: DrainQuestion, snapshot: Snapshot): readonly DrainEntry[] {
  const targets = findTargets(question, snapshot.nodes);
  return question.projects.toSorted(compareProjectAge).map((project) => planProject(project, { ...question, snapshot, targets }));
}

/** Counts the Projects that are on their way, or wait for a node, where the scheduler would put them now. */
export function reserveForTravellers(projects: readonly ProjectObject[], snapshot: Snapshot): void {
  const travellers = projects.filter((project) => isLeaving(project) || isWaiting(project)).toSorted(compareProjectAge);
  const unplaceable = new Set<string>(); // demand keys: room only gets less, and a thousand copies of what fits nowhere are judged once
  for (const project of travellers) {
    const demand = snapshot.findDemand(project.metadata.name);
    if (demand === undefined || unplaceable.has(keyOf(demand))) {
      continue;
    }
    const { node } = place(snapshot.nodes, demand);
    if (node === undefined) {
      unplaceable.add(keyOf(demand));
    } else {
      snapshot.assume(project.metadata.name, node.name, versionOf(project));
    }
  }
}

function isWaiting({ status }: ProjectObject): boolean {
  return status.phase === 'Pending' && status.nodeRef === undefined;
}

interface Site extends DrainQuestion {
  readonly snapshot: Snapshot;
  readonly targets: ReadonlyMap<string, NodeView>;
}

/** Where they may go: the one node that was named, or all but the one to leave. */
function findTargets({ projects, to }: DrainQuestion, nodes: ReadonlyMap<string, NodeView>): ReadonlyMap<string, NodeView> {
  const from = projects[0]?.status.nodeRef;
  return new Map(nodes.entries().filter(([name]) => (to === undefined ? name !== from : name === to)));
}

function planProject(project: ProjectObject, site: Site): DrainEntry {
  const { name } = project.metadata;
  const standing = findStanding(project, site);
  if (standing !== undefined) {
    return { project: name, ...standing };
  }
  const demand = site.snapshot.findDemand(name);
  const placement = demand === undefined ? undefined : place(site.targets, demand);
  if (demand === undefined || placement?.node === undefined) {
    const message = demand === undefined ? 'it has just been deleted' : explainTargets(demand, site);
    return { project: name, ...keep('Unschedulable', message) };
  }
  const to = placement.node.name;
  site.snapshot.assume(name, to, versionOf(project));
  return { project: name, action: 'Move', to, reason: 'Fits', message: describeMove(project) };
}

type Standing = Omit<DrainEntry, 'project'>;

/** What is said of it without looking for a place. */
function findStanding(project: ProjectObject, site: Site): Standing | undefined {
  const { status, spec } = project;
  const from = status.nodeRef ?? '';
  if (isTerminating(project)) {
    return { action: 'Wait', reason: 'Terminating', message: `it is being removed from ${from}: there is nothing to move` };
  }
  const unreachable = findUnreachable(project, site);
  if (isLeaving(project)) {
    const to = site.to ?? status.move?.to ?? findPlanned(project, site);
    return unreachable === undefined
      ? {
          action: 'Move',
          ...(to !== undefined && { to }),
          reason: 'Moving',
          message: `it was asked to leave at ${status.move?.requestedAt}`,
        }
      : { action: 'Wait', reason: 'NodeNotReady', message: `it was asked to leave, but ${unreachable}` };
  }
  if (unreachable !== undefined) {
    return keep('NodeNotReady', unreachable);
  }
  const volumes = spec.volumes ?? [];
  const managed = volumes.filter(({ type }) => type === 'Managed');
  if (managed.length > 0) {
    return keep('ManagedVolume', `the data of its Managed ${listVolumes(managed)} stays on ${from}`);
  }
  const paths = volumes.filter(({ type }) => type === 'HostPath');
  return paths.length > 0 ? keep('HostPathVolume', `its HostPath ${listVolumes(paths)} is a folder of ${from}`) : undefined;
}

/** Where it has been counted by `reserveForTravellers`. */
function findPlanned({ metadata, status }: ProjectObject, { snapshot }: Site): string | undefined {
  const planned = snapshot.findNode(metadata.name);
  return planned === status.nodeRef ? undefined : planned;
}

/** Why no stop can be confirmed there. Nothing is ever moved off a node that does not answer: it might run twice. */
function findUnreachable({ spec, status }: ProjectObject, { node }: Site): string | undefined {
  if (node !== undefined && node.status.state !== 'NotReady') {
    return undefined;
  }
  const { action, afterMs } = deriveLossPolicy(spec);
  const policy = `onNodeLost applies (${action}${action === 'Keep' ? '' : ` after ${formatDuration(afterMs)}`})`;
  const how = node === undefined ? 'has no record any more' : 'is NotReady';
  return `node ${status.nodeRef ?? ''} ${how}, its agent cannot confirm the stop: ${policy}`;
}

function explainTargets(demand: Demand, { targets, to }: Site): string {
  const placement = place(targets, demand);
  const refusals = placement.node === undefined ? placement.refusals : [];
  const [first] = refusals;
  if (to !== undefined) {
    return first === undefined ? `there is no node ${to}` : `${to} ${describeRefusal(first, demand)}`;
  }
  return first === undefined ? 'there is no other node' : explain(refusals, demand);
}

function describeMove({ spec }: ProjectObject): string {
  const volumes = spec.volumes ?? [];
  const empty = volumes.length === 0 ? '' : `; its Ephemeral ${listVolumes(volumes)} start${volumes.length === 1 ? 's' : ''} empty`;
  return `is stopped first, then started there${empty}`;
}

function listVolumes(volumes: readonly Volume[]): string {
  return `volume${volumes.length === 1 ? '' : 's'} ${volumes.map(({ name }) => name).join(', ')}`;
}

function keep(reason: DrainReason, message: string): Standing {
  return { action: 'Keep', reason, message };
}
