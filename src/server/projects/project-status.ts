/**
 * The transitions of a Project's status that the server makes by itself; pure. What an agent's report makes of it is in project-phase.ts.
 *
 * Every transition ends in `settle`, which derives the condition `Ready` from the rest, so that no two writers can disagree on it.
 * Callers  project-service.ts, the judges of the project controller, scheduler/binder.ts. Moving is in project-move.ts.
 */
import { type Condition, findCondition, withCondition } from '../../api/condition.ts';
import { EXPIRING } from '../../api/project/expiry.ts';
import { MOVED, hasMoved, isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject, ProjectPhase, ProjectStatus } from '../../api/project.ts';
import { withTermsOfBinding, withTermsOfEdit } from './fence-terms.ts';

/** Why a Project is in its phase: a CamelCase word and a sentence. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
}

/** The reason of a Project whose node is given up. */
export const NODE_LOST = 'NodeLost';

/** @param now RFC 3339, here and below */
export function initialStatus(now: string): ProjectStatus {
  return settle({ phase: 'Pending', assignment: 0, observedGeneration: 0, services: [], conditions: [] }, 1, now);
}

/** The scheduler chose `node`: a new assignment, of which the agent knows nothing yet. */
export function bind({ metadata, spec, status }: ProjectObject, node: string, now: string): ProjectStatus {
  const scheduled = { type: 'Scheduled', status: 'True', reason: 'Bound', message: `Placed on ${node}` } as const;
  return settle(
    {
      ...enter(withTermsOfBinding(withoutMove(status), spec), 'Scheduled'),
      nodeRef: node,
      assignment: status.assignment + 1,
      services: [],
      conditions: withCondition(without(status.conditions, 'NodeReachable', 'FitsNode'), scheduled, now),
    },
    metadata.generation,
    now,
  );
}

/** No node takes it now; `message` says why. */
export function markUnschedulable({ metadata, status }: ProjectObject, message: string, now: string): ProjectStatus {
  const cause = { reason: 'Unschedulable', message };
  const conditions = withCondition(status.conditions, { type: 'Scheduled', status: 'False', ...cause }, now);
  return settle({ ...enter(status, 'Pending', cause), conditions }, metadata.generation, now);
}

/** Gives up the lost node, whatever move was asked for with it: the scheduler chooses anew. */
export function unbind(project: ProjectObject, message: string, now: string): ProjectStatus {
  return release({ ...project, status: withoutMove(project.status) }, { reason: NODE_LOST, message }, now);
}

/** Takes the Project off its node. The assignment number stays, to be raised by the next binding. */
export function release({ metadata, status }: ProjectObject, cause: Cause, now: string): ProjectStatus {
  const { nodeRef: _nodeRef, fence: _fence, ...unbound } = status;
  const conditions = withCondition(
    without(status.conditions, 'NodeReachable', 'FitsNode'),
    { type: 'Scheduled', status: 'False', ...cause },
    now,
  );
  return settle({ ...enter(unbound, 'Pending', cause), services: [], conditions }, metadata.generation, now);
}

/**
 * The spec has changed under a Project that has a node; `project` has the new generation.
 *
 * It leaves Running at once, in the same write as the spec: Running promises that every service runs what the spec asks for, and
 * whoever applies and then waits for Running must not see the old one. It leaves Failed too, as that spoke of the old spec. It shows
 * Scheduled (the node is chosen, the agent has not confirmed), reason Updating; the containers run on meanwhile.
 * Rejected: keeping the phase with Ready=False, as then each reader has to compare generations to know what Running means.
 */
export function markUpdating(project: ProjectObject, now: string): ProjectStatus {
  const { metadata, spec } = project;
  return awaitAgent({ ...project, status: withTermsOfEdit(project.status, spec) }, updating(metadata.generation), now);
}

/** As markUpdating, where values of Secrets have changed that its containers are made of. */
export function markSecretsChanged(project: ProjectObject, now: string): ProjectStatus {
  const status = { ...project.status, secretsRevision: (project.status.secretsRevision ?? 0) + 1 };
  return awaitAgent({ ...project, status }, updatingSecrets, now);
}

/** The cause to show while the agent has not taken up what changed in Secrets. */
export const updatingSecrets: Cause = { reason: 'Updating', message: 'Waiting for the agent to take up what changed in its Secrets' };

/** Leaves Running or Failed until the agent has said what it makes of a change; what waits for something else goes on waiting for it. */
function awaitAgent(project: ProjectObject, cause: Cause, now: string): ProjectStatus {
  const { metadata, status } = project;
  const isWaiting = status.phase === 'Pending' || status.phase === 'Terminating' || isLost(status) || isLeaving(project);
  return settle(isWaiting ? status : enter(status, 'Scheduled', cause), metadata.generation, now);
}

/** The cause to show while the agent has not taken up `generation`. */
export function updating(generation: number): Cause {
  return { reason: 'Updating', message: `Waiting for the agent to take up generation ${generation}` };
}

/** Deletion begins: the agent tears down, and the record goes when it has said so. */
export function terminate(project: ProjectObject, cause: Cause, now: string): ProjectObject {
  const { metadata, status } = project;
  return {
    ...project,
    metadata: { ...metadata, deletedAt: now, updatedAt: now },
    status: settle(enter(withoutWarning(withoutMove(status)), 'Terminating', cause), metadata.generation, now),
  };
}

/** The node cannot be relied on to say what runs; the phase stays. */
export function markUnreachable({ metadata, status }: ProjectObject, cause: Cause, now: string): ProjectStatus {
  const conditions = withCondition(status.conditions, { type: 'NodeReachable', status: 'False', ...cause }, now);
  return settle({ ...status, conditions }, metadata.generation, now);
}

/** The node is back; a Project that was given up with it waits for what its agent reports. */
export function markReachable({ metadata, status }: ProjectObject, now: string): ProjectStatus {
  const back = { ...status, conditions: without(status.conditions, 'NodeReachable') };
  const cause = { reason: 'NodeReturned', message: `Node ${status.nodeRef ?? ''} is back: waiting for what its agent reports` };
  return settle(isLost(status) ? enter(back, 'Scheduled', cause) : back, metadata.generation, now);
}

/** The node is given up, the Project with it. */
export function markLost({ metadata, status }: ProjectObject, message: string, now: string): ProjectStatus {
  return settle(enter(status, 'Failed', { reason: NODE_LOST, message }), metadata.generation, now);
}

/** Says that the Project could not be placed where it is (undefined: that it could); it stays all the same. */
export function markFit({ metadata, status }: ProjectObject, misfit: Cause | undefined, now: string): ProjectStatus {
  const conditions =
    misfit === undefined
      ? without(status.conditions, 'FitsNode')
      : withCondition(status.conditions, { type: 'FitsNode', status: 'False', ...misfit }, now);
  return settle({ ...status, conditions }, metadata.generation, now);
}

/** Says that its time is nearly up (undefined: that it is not). */
export function markExpiring({ metadata, status }: ProjectObject, cause: Cause | undefined, now: string): ProjectStatus {
  const conditions =
    cause === undefined
      ? without(status.conditions, EXPIRING)
      : withCondition(status.conditions, { type: EXPIRING, status: 'True', ...cause }, now);
  return conditions === status.conditions ? status : settle({ ...status, conditions }, metadata.generation, now);
}

export function isTerminating({ status }: ProjectObject): boolean {
  return status.phase === 'Terminating' || status.phase === 'Terminated';
}

/** Tells whether the server gave the Project up together with its node. */
export function isLost(status: ProjectStatus): boolean {
  return status.phase === 'Failed' && status.reason === NODE_LOST;
}

/** Ends a move: what was not confirmed by then never will be. */
export function withoutMove(status: ProjectStatus): ProjectStatus {
  if (status.move === undefined) {
    return status;
  }
  const { move: _move, ...rest } = status;
  return hasMoved(rest) ? rest : { ...rest, conditions: without(rest.conditions, MOVED) };
}

/** Moves to `phase`; the cause of the phase before goes. */
export function enter(status: ProjectStatus, phase: ProjectPhase, cause?: Partial<Cause>): ProjectStatus {
  if (status.reason === undefined && status.message === undefined) {
    return { ...status, phase, ...cause };
  }
  const { reason: _reason, message: _message, ...rest } = status; // several times the time of a mere copy
  return { ...rest, phase, ...cause };
}

/** Brings the conditions Ready and Progressing in line with the rest of the status. */
export function settle(status: ProjectStatus, generation: number, now: string): ProjectStatus {
  const conditions = withCondition(status.conditions, { type: 'Ready', ...deriveReady(status, generation) }, now);
  const progress = deriveProgress(status, generation);
  return {
    ...status,
    conditions: progress === undefined ? conditions : withCondition(conditions, { type: PROGRESSING, ...progress }, now),
  };
}

/** How the latest change goes; as in Kubernetes, False says that it does not. */
const PROGRESSING = 'Progressing';

/** @returns undefined where nothing is to be said anew: no change yet, or the Project is not on its way to run */
function deriveProgress(status: ProjectStatus, generation: number): Pick<Condition, 'status' | 'reason' | 'message'> | undefined {
  const { phase, reason, message } = status;
  const isChange = generation > 1 || reason === 'RolledBack' || findCondition(status.conditions, PROGRESSING) !== undefined;
  if (!isChange || phase === 'Pending' || phase === 'Terminating' || phase === 'Terminated') {
    return undefined;
  }
  const isCurrent = status.observedGeneration >= generation;
  const isGood = isCurrent && status.goodGeneration === generation && reason !== 'RolledBack'; // what happens to it later is no change
  if (phase === 'Failed' && isCurrent && !isGood) {
    return {
      status: 'False',
      reason: reason ?? 'Failed',
      message: (message ?? DEFAULT_CAUSES.Failed.message).slice(0, MAX_CONDITION_MESSAGE),
    };
  }
  return isGood || (phase === 'Running' && isCurrent)
    ? { status: 'True', reason: 'Complete', message: `Every service runs generation ${generation}` }
    : { status: 'True', reason: 'Updating', message: `Generation ${generation} is being brought up` };
}

const DEFAULT_CAUSES: Readonly<Record<ProjectPhase, Cause>> = {
  Pending: { reason: 'NotScheduled', message: 'Waiting for a node' },
  Scheduled: { reason: 'Starting', message: 'Waiting for the agent to report' },
  Running: { reason: 'AllServicesReady', message: 'Every service runs what the spec asks for' },
  Failed: { reason: 'Failed', message: 'A service cannot be brought up' },
  Terminating: { reason: 'Terminating', message: 'Being removed from its node' },
  Terminated: { reason: 'Terminated', message: 'All is removed' },
};

const MAX_CONDITION_MESSAGE = 4096; // characters; the schema's bound on a condition, a report may say more

function deriveReady(status: ProjectStatus, generation: number): Pick<Condition, 'status' | 'reason' | 'message'> {
  const { phase } = status;
  const reachable = findCondition(status.conditions, 'NodeReachable');
  if (reachable?.status === 'False' && (phase === 'Running' || phase === 'Scheduled')) {
    return { status: 'Unknown', reason: 'NodeUnreachable', message: reachable.message };
  }
  if (phase === 'Running') {
    return status.observedGeneration >= generation
      ? { status: 'True', ...DEFAULT_CAUSES.Running }
      : { status: 'False', ...updating(generation) };
  }
  const fallback = DEFAULT_CAUSES[phase];
  const message = (status.message ?? fallback.message).slice(0, MAX_CONDITION_MESSAGE);
  return { status: 'False', reason: status.reason ?? fallback.reason, message };
}

function withoutWarning(status: ProjectStatus): ProjectStatus {
  return { ...status, conditions: without(status.conditions, EXPIRING) };
}

function without(conditions: readonly Condition[], ...types: readonly string[]): readonly Condition[] {
  return conditions.some(({ type }) => types.includes(type)) ? conditions.filter(({ type }) => !types.includes(type)) : conditions;
}
