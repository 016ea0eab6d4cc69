/**
 * Project move: how a Project leaves its node because it was asked to; pure.
 *
 * Asked (`move` names the node it is on) → its agent tears it down and says so → left (no node, Pending) → bound by the scheduler, which
 * ends the move. All of it is in the Project's status, so that a server that starts anew finds its place. The condition Moved is True
 * from the agent's word on: it stays afterwards, and tells a confirmed stop from a node that was merely given up.
 * Callers  move-service.ts (request), project-phase.ts (the agent's word), project-verdict.ts (lapse).
 */
import { withCondition } from '../../api/condition.ts';
import { MOVED } from '../../api/project/leaving.ts';
import type { ProjectMove, ProjectObject, ProjectStatus, StatusReport } from '../../api/project.ts';
import { type Cause, enter, release, settle, withoutMove } from './project-status.ts';

/** The reason of a Project on its way from one node to another. */
const MOVING = 'Moving';

/**
 * For how long a Project that has left keeps to its move: it goes to the node that was asked for, or at least not back. Then it is a
 * Pending Project like any other: a wish is not worth more downtime than this, and a node that may take it again (the drain was called
 * off) is better than none.
 */
export const MOVE_WISH_MS = 60_000;

/** Asks the Project to leave its node. It leaves Running at once: from now on its agent may stop it. */
export function requestMove({ metadata, status }: ProjectObject, move: ProjectMove, now: string): ProjectStatus {
  const cause = { reason: MOVING, message: `Waiting for the agent on ${move.from} to stop it` };
  const conditions = withCondition(status.conditions, { type: MOVED, status: 'False', ...cause }, now);
  return settle({ ...enter(status, 'Scheduled', cause), move, conditions }, metadata.generation, now);
}

/** Changes where a Project goes that is on its way already. */
export function redirectMove({ status }: ProjectObject, move: ProjectMove): ProjectStatus {
  return { ...status, move };
}

/** What an agent's report says of a Project that is leaving; it shows no other phase until it has left. */
export function describeLeaving({ status }: ProjectObject, report: StatusReport): Cause {
  const isStopping = report.phase === 'Terminating' || report.phase === 'Terminated';
  const stage = isStopping ? `Being stopped on ${status.nodeRef}` : `Waiting for the agent on ${status.nodeRef} to stop it`;
  const why = report.message === undefined || !isStopping ? '' : `: ${report.message}`;
  return { reason: MOVING, message: stage + why };
}

/** The agent's word that nothing is left of it on its node. Without the number of the assignment it might speak of an earlier one. */
export function isStopConfirmed({ status }: ProjectObject, report: StatusReport): boolean {
  return report.phase === 'Terminated' && report.assignment === status.assignment;
}

/** All of it is gone from its node: the scheduler chooses anew. */
export function leave(project: ProjectObject, now: string): ProjectStatus {
  const { nodeRef = '', move } = project.status;
  const left = `The agent on ${nodeRef} confirmed that it is stopped and removed`;
  const conditions = withCondition(project.status.conditions, { type: MOVED, status: 'True', reason: 'StopConfirmed', message: left }, now);
  const message = move?.to === undefined ? `Has left ${nodeRef}: looking for another node` : `Has left ${nodeRef} for ${move.to}`;
  return release({ ...project, status: { ...project.status, conditions } }, { reason: MOVING, message }, now);
}

/** Ends a move that has found no place: any node will do. */
export function lapseMove({ status }: ProjectObject): ProjectStatus {
  return withoutMove(status);
}

/** Tells whether the Project has left its node for a move that has not found its end. */
export function isBetweenNodes({ status }: ProjectObject): boolean {
  return status.move !== undefined && status.nodeRef === undefined;
}
