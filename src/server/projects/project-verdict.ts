/** Project verdict: what the project controller is to do about one Project, of everything that time and nodes can do to it; pure. */
import { isDeepStrictEqual } from 'node:util';
import { findCondition } from '../../api/condition.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import { RESOURCES, readAllocatable } from '../../api/resource-amounts.ts';
import { deriveDemand } from '../scheduler/demand.ts';
import { matchesSelector } from '../scheduler/filters.ts';
import { deriveExpiryMs } from './expiry.ts';
import { type Loss, describeLoss, judgeNodeLoss } from './node-loss.ts';
import { MOVE_WISH_MS, isBetweenNodes, lapseMove } from './project-move.ts';
import { type Cause, isTerminating, markFit, markReachable, markUnreachable, terminate } from './project-status.ts';
import { judgeTermination } from './termination.ts';

export interface Sighting {
  readonly project: ProjectObject;
  /** the record of its node; undefined also where it has no node */
  readonly node: NodeObject | undefined;
  /** undefined: the node is neither NotReady nor gone */
  readonly loss: Loss | undefined;
  /** how long this process has seen it Terminating, or between two nodes; 0 when it is neither */
  readonly inTransitionForMs: number;
  /** as LossContext */
  readonly fenceLeftMs: number;
  readonly hasRefuge: () => boolean;
  /** wall clock */
  readonly nowMs: number;
  readonly timeouts: Timeouts;
}

export interface Timeouts {
  readonly nodeHeartbeatTimeoutMs: number;
  readonly terminationTimeoutMs: number;
}

export type Verdict =
  | { readonly kind: 'drop'; readonly because: 'Unbound' | 'NodeLost' }
  /** `project` is the very one that was judged when nothing is to be written; look again after `lookAgainMs` though nothing changes */
  | { readonly kind: 'keep'; readonly project: ProjectObject; readonly lookAgainMs: number };

/** The wall clock may jump, so a far expiry is looked at again now and then. */
const MAX_EXPIRY_WAIT_MS = 60_000;

export function judgeProject(sighting: Sighting): Verdict {
  const { project, nowMs } = sighting;
  if (isTerminating(project)) {
    return judgeTerminating(sighting);
  }
  const expiryMs = deriveExpiryMs(project);
  if (expiryMs !== undefined && expiryMs <= nowMs) {
    const cause = { reason: 'Expired', message: `Its time was up at ${new Date(expiryMs).toISOString()}` };
    return { kind: 'keep', project: terminate(project, cause, toText(nowMs)), lookAgainMs: Infinity };
  }
  const { status, lookAgainMs } = judgePlace(sighting);
  const untilExpiryMs = expiryMs === undefined ? Infinity : Math.min(expiryMs - nowMs, MAX_EXPIRY_WAIT_MS);
  return keep(sighting, status, Math.min(lookAgainMs, untilExpiryMs));
}

function judgeTerminating(sighting: Sighting): Verdict {
  const { project, loss, inTransitionForMs, timeouts, nowMs } = sighting;
  const verdict = judgeTermination(project, {
    lostForMs: loss?.lostForMs,
    terminatingForMs: inTransitionForMs,
    terminationTimeoutMs: timeouts.terminationTimeoutMs,
  });
  if (verdict.isOver) {
    return { kind: 'drop', because: verdict.because };
  }
  const status =
    loss === undefined ? clearLoss(project, nowMs) : markUnreachable(project, describeLoss(project, sighting.node), toText(nowMs));
  return keep(sighting, status, verdict.lookAgainMs);
}

function judgePlace(sighting: Sighting): { readonly status: ProjectStatus; readonly lookAgainMs: number } {
  const { project, node, loss, fenceLeftMs, hasRefuge, nowMs, timeouts } = sighting;
  if (project.status.nodeRef === undefined) {
    return judgeMove(sighting);
  }
  if (loss !== undefined) {
    const now = toText(nowMs);
    return judgeNodeLoss(project, { node, loss, fenceLeftMs, hasRefuge, now, heartbeatTimeoutMs: timeouts.nodeHeartbeatTimeoutMs });
  }
  const reachable = { ...project, status: clearLoss(project, nowMs) };
  const status = node === undefined ? reachable.status : markFit(reachable, findMisfit(project, node), toText(nowMs));
  return { status, lookAgainMs: Infinity };
}

function judgeMove({ project, inTransitionForMs }: Sighting): { readonly status: ProjectStatus; readonly lookAgainMs: number } {
  const leftMs = isBetweenNodes(project) ? MOVE_WISH_MS - inTransitionForMs : Infinity;
  return leftMs <= 0 ? { status: lapseMove(project), lookAgainMs: Infinity } : { status: project.status, lookAgainMs: leftMs };
}

function clearLoss(project: ProjectObject, nowMs: number): ProjectStatus {
  return findCondition(project.status.conditions, 'NodeReachable') === undefined ? project.status : markReachable(project, toText(nowMs));
}

/** Why the scheduler would not choose this node any more for reasons of the Project itself: its spec, or the node, has changed since. */
function findMisfit({ metadata, spec }: ProjectObject, node: NodeObject): Cause | undefined {
  const demand = deriveDemand(spec);
  const stays = `it stays on ${node.metadata.name}; caractrl move ${metadata.name} has it placed anew`;
  if (!matchesSelector(node, demand.nodeSelector)) {
    return { reason: 'SelectorMismatch', message: `The labels of the node do not match nodeSelector: ${stays}` };
  }
  const allocatable = readAllocatable(node.status);
  for (const { name, unit } of RESOURCES) {
    const available = allocatable[unit];
    if (available !== undefined && demand.amounts[unit] > available) {
      const given = String(node.status.allocatable?.[name]);
      return {
        reason: 'InsufficientResources',
        message: `The ${name} of the node does not suffice (${demand.written[name]} asked, ${given} allocatable): ${stays}`,
      };
    }
  }
  return undefined;
}

function keep({ project, nowMs }: Sighting, status: ProjectStatus, lookAgainMs: number): Verdict {
  if (isDeepStrictEqual(status, project.status)) {
    return { kind: 'keep', project, lookAgainMs };
  }
  return { kind: 'keep', project: { ...project, metadata: { ...project.metadata, updatedAt: toText(nowMs) }, status }, lookAgainMs };
}

function toText(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
