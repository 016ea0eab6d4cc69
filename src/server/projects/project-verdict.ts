/** Project verdict: what the project controller is to do about one Project, of everything that time and nodes can do to it; pure. */
import { isDeepStrictEqual } from 'node:util';
import { findCondition } from '../../api/condition.ts';
import { deriveExpiry, type Expiry } from '../../api/project/expiry.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import type { Amounts } from '../../api/resource-amounts.ts';
import { findMisfit } from './node-fit.ts';
import { type Loss, describeLoss, judgeNodeLoss } from './node-loss.ts';
import { MOVE_WISH_MS, isBetweenNodes, lapseMove } from './project-move.ts';
import { isTerminating, markExpiring, markFit, markReachable, markUnreachable, terminate } from './project-status.ts';
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
  /** what the older Projects on its node request */
  readonly sumOlder: () => Amounts;
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
  const expiry = deriveExpiry(project);
  if (expiry !== undefined && expiry.atMs <= nowMs) {
    const cause = { reason: 'Expired', message: `Its time was up at ${toText(expiry.atMs)}` };
    return { kind: 'keep', project: terminate(project, cause, toText(nowMs)), lookAgainMs: Infinity };
  }
  const { status, lookAgainMs } = judgePlace(sighting);
  const warned = judgeLifetime({ ...project, status }, expiry, nowMs);
  return keep(sighting, warned.status, Math.min(lookAgainMs, warned.lookAgainMs));
}

/** Warns of an end that is near; one that was put off is not any more. */
function judgeLifetime(project: ProjectObject, expiry: Expiry | undefined, nowMs: number): Judgement {
  if (expiry === undefined) {
    return { status: markExpiring(project, undefined, toText(nowMs)), lookAgainMs: Infinity };
  }
  const { atMs, warnAtMs } = expiry;
  const message = `Its time is up at ${toText(atMs)}; to give it more: caractrl extend ${project.metadata.name} DURATION`;
  const isNear = nowMs >= warnAtMs;
  return {
    status: markExpiring(project, isNear ? { reason: 'EndIsNear', message } : undefined, toText(nowMs)),
    lookAgainMs: Math.min((isNear ? atMs : warnAtMs) - nowMs, MAX_EXPIRY_WAIT_MS),
  };
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

interface Judgement {
  readonly status: ProjectStatus;
  readonly lookAgainMs: number;
}

function judgePlace(sighting: Sighting): Judgement {
  const { project, node, loss, fenceLeftMs, hasRefuge, nowMs, timeouts } = sighting;
  if (project.status.nodeRef === undefined) {
    return judgeMove(sighting);
  }
  if (loss !== undefined) {
    const now = toText(nowMs);
    return judgeNodeLoss(project, { node, loss, fenceLeftMs, hasRefuge, now, heartbeatTimeoutMs: timeouts.nodeHeartbeatTimeoutMs });
  }
  const reachable = { ...project, status: clearLoss(project, nowMs) };
  const status = node === undefined ? reachable.status : markFit(reachable, findMisfit(project, node, sighting.sumOlder()), toText(nowMs));
  return { status, lookAgainMs: Infinity };
}

function judgeMove({ project, inTransitionForMs }: Sighting): Judgement {
  const leftMs = isBetweenNodes(project) ? MOVE_WISH_MS - inTransitionForMs : Infinity;
  return leftMs <= 0 ? { status: lapseMove(project), lookAgainMs: Infinity } : { status: project.status, lookAgainMs: leftMs };
}

function clearLoss(project: ProjectObject, nowMs: number): ProjectStatus {
  return findCondition(project.status.conditions, 'NodeReachable') === undefined ? project.status : markReachable(project, toText(nowMs));
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
