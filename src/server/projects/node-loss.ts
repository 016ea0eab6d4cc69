/**
 * Node loss: what becomes of a Project whose node is NotReady or has no record any more; pure.
 *
 * Times are how long this server has seen it so, not what records say: a server that has just started waits the full time anew
 * before it acts, so that its own absence is never held against a node.
 * Source   Kubernetes' taint-based eviction (tolerationSeconds), and its refusal to evict while no zone is healthy.
 */
import { findCondition } from '../../api/condition.ts';
import { type LossPolicy, deriveLossPolicy } from '../../api/project/loss-policy.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import { type Cause, isLost, markLost, markUnreachable, unbind } from './project-status.ts';

/** What this process has seen of a node that is NotReady or gone. */
export interface Loss {
  /** since it was first seen NotReady or gone */
  readonly lostForMs: number;
  /** since its record was first seen missing; undefined: it is there */
  readonly missingForMs: number | undefined;
  /** whether its heartbeats had stopped when its record was last seen */
  readonly wasSilent: boolean;
}

export interface LossContext {
  /** the record of the Project's node */
  readonly node: NodeObject | undefined;
  readonly loss: Loss;
  readonly heartbeatTimeoutMs: number;
  /** how long the node's agent may still run the Project where it is fenced, in milliseconds; Infinity: nobody can tell */
  readonly fenceLeftMs: number;
  /** whether another node might take the Project */
  readonly hasRefuge: () => boolean;
  /** RFC 3339 */
  readonly now: string;
}

export interface LossVerdict {
  readonly status: ProjectStatus;
  /** when to judge again, though nothing changes; Infinity: not before something does */
  readonly lookAgainMs: number;
}

const REFUGE_RECHECK_MS = 5_000; // how soon a Project that nowhere could take is looked at again

/** Judges a Project that is bound to a lost node and not Terminating. */
export function judgeNodeLoss(project: ProjectObject, context: LossContext): LossVerdict {
  const { node, loss, heartbeatTimeoutMs, fenceLeftMs, now } = context;
  const policy = deriveLossPolicy(project.spec);
  const unreachable = markUnreachable(project, withFence(describeLoss(project, node), policy, fenceLeftMs), now);
  // a deleted node's heartbeats are refused from then on, so they count as gone from its deletion, unless they had stopped before
  const silenceMs = node === undefined && !loss.wasSilent ? heartbeatTimeoutMs : 0;
  const failInMs = failsIn(policy, { node, loss, silenceMs, fenceLeftMs });
  const moveInMs = isLeftAlone(project, node, loss) ? Infinity : movesIn(policy, { node, loss, silenceMs, fenceLeftMs });
  if (moveInMs <= 0 && context.hasRefuge()) {
    return { status: unbind(project, `Node ${nameOf(project)} was lost: looking for another`, now), lookAgainMs: Infinity };
  }
  const status =
    failInMs <= 0 && !isLost(project.status)
      ? markLost({ ...project, status: unreachable }, describeLoss(project, node).message, now)
      : unreachable;
  const waitsMs = [failInMs, moveInMs].filter((ms) => ms > 0);
  return { status, lookAgainMs: Math.min(...waitsMs, moveInMs <= 0 ? REFUGE_RECHECK_MS : Infinity) };
}

/**
 * The guide: deleting a node does not by itself migrate what runs on it. The machine may be well and its agent goes on supervising, so
 * only a Project that names its action, or is being moved, gets a second copy elsewhere. A node that had fallen silent before is lost,
 * whatever became of its record.
 */
function isLeftAlone({ spec, status }: ProjectObject, node: NodeObject | undefined, loss: Loss): boolean {
  return node === undefined && !loss.wasSilent && spec.onNodeLost?.action === undefined && status.move === undefined;
}

interface Elapsed {
  readonly node: NodeObject | undefined;
  readonly loss: Loss;
  /** how long the record must have been missing before its heartbeats count as gone */
  readonly silenceMs: number;
  readonly fenceLeftMs: number;
}

/** Milliseconds until it is Failed: a vanished node once it is silent, whatever the policy; a NotReady one by policy alone. */
function failsIn({ action, afterMs }: LossPolicy, { node, loss, silenceMs }: Elapsed): number {
  const byPolicyMs = action === 'Fail' ? silenceMs + afterMs - loss.lostForMs : Infinity;
  return node === undefined ? Math.min(silenceMs - (loss.missingForMs ?? 0), byPolicyMs) : byPolicyMs;
}

/**
 * Milliseconds until it moves. With `fence` a Project moves only off a silent node: the agent that still talks to us has not fenced
 * itself, and where its engine does not answer it could not stop the old copy either. And only when what the node was granted last is
 * over: how long it has been lost says nothing of that, as it may have been unwell and beating, or deleted and made anew.
 */
function movesIn({ action, afterMs, fence }: LossPolicy, { node, loss, silenceMs, fenceLeftMs }: Elapsed): number {
  const isHeld = fence && node !== undefined && !isSilent(node);
  if (action !== 'Reschedule' || isHeld) {
    return Infinity;
  }
  return Math.max(silenceMs + afterMs - loss.lostForMs, fence ? fenceLeftMs : -Infinity);
}

/** Adds why a fenced Project waits for its node for ever. */
function withFence(cause: Cause, { action, fence }: LossPolicy, fenceLeftMs: number): Cause {
  const why = 'it is not moved, as its agent has not confirmed that it knows of the fence';
  return fence && action === 'Reschedule' && fenceLeftMs === Infinity ? { ...cause, message: `${cause.message}; ${why}` } : cause;
}

/** Tells whether the node's heartbeats have stopped, as against one that beats and says it is unwell. */
export function isSilent({ status }: NodeObject): boolean {
  return findCondition(status.conditions, 'NoHeartbeat')?.status === 'True';
}

/** Why the node cannot be relied on, for the condition NodeReachable. */
export function describeLoss(project: ProjectObject, node: NodeObject | undefined): Cause {
  if (node === undefined) {
    return { reason: 'NodeDeleted', message: `Node ${nameOf(project)} has no record any more: it was deleted while the Project was on it` };
  }
  const ready = findCondition(node.status.conditions, 'Ready');
  const since = ready === undefined || ready.status === 'True' ? '' : ` since ${ready.lastTransitionTime}`;
  const why = ready === undefined || ready.status === 'True' ? '' : ` (${ready.reason})`;
  return { reason: 'NodeNotReady', message: `Node ${nameOf(project)} is NotReady${since}${why}` };
}

function nameOf({ status }: ProjectObject): string {
  return status.nodeRef ?? '';
}
