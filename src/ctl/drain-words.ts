/** What to tell of the Projects of a node that is drained; pure. Callers: commands/drain.ts. */
import type { DrainEntry, DrainPlan, DrainReason } from '../api/project/drain.ts';
import type { MoveStage } from './waiting/move-progress.ts';

/** Why the node may not be taken for empty because of this Project, and what would help. */
export function findProblem(
  { project, action, reason, message }: DrainEntry,
  stage: MoveStage | undefined,
  node: string,
): string | undefined {
  if (action === 'Keep') {
    return `${message}; ${helpFor(reason, project)}`;
  }
  switch (stage?.kind) {
    case 'placed':
    case 'stranded':
    case 'left':
    case 'gone':
      return undefined;
    case 'leaving':
      return `${stage.why}; the drain goes on, look with: caractrl describe project ${project}`;
    case 'unconfirmed':
      return `it ${stage.node === undefined ? 'was given up' : `was moved to ${stage.node}`} without the word of the agent on ${node}: make sure that it is stopped there`;
    case 'back':
      return `it is on ${node} again: caractrl describe project ${project}`;
    case undefined:
      return `${message}; the server did not say how far it is`;
    default:
      return stage satisfies never;
  }
}

function helpFor(reason: DrainReason, project: string): string {
  switch (reason) {
    case 'ManagedVolume':
      return `to stop it and leave the data: caractrl delete project ${project}`;
    case 'HostPathVolume':
      return `to stop it: caractrl delete project ${project}`;
    case 'Unschedulable':
      return 'add a node, or make room on another';
    case 'NodeNotReady':
      return 'bring the node back, or let onNodeLost decide';
    case 'Fits':
    case 'Moving':
    case 'Terminating':
      return `caractrl describe project ${project}`;
    default:
      return reason satisfies never;
  }
}

/** Where a Project has ended, to follow its name. */
export function describeStage(stage: MoveStage, node: string): string {
  switch (stage.kind) {
    case 'placed':
      return `moved to ${stage.node}`;
    case 'stranded':
      return `has left ${node} and runs nowhere yet: ${stage.why}`;
    case 'gone':
      return 'is gone';
    case 'unconfirmed':
      return `was given up with ${node}: its stop is not confirmed`;
    case 'back':
      return `is on ${node} again`;
    case 'leaving':
    case 'left':
      return stage.kind;
    default:
      return stage satisfies never;
  }
}

/** The question that a person answers before anything is changed. */
export function questionOf({ node, projects }: DrainPlan): string {
  const count = (wanted: DrainEntry['action']): number => projects.filter(({ action }) => action === wanted).length;
  const stay = count('Keep');
  const words = [
    `${count('Move')} of ${projects.length} Projects ${count('Move') === 1 ? 'is' : 'are'} stopped and moved`,
    ...(stay === 0 ? [] : [`${stay} stay${stay === 1 ? 's' : ''}`]),
  ];
  return `Drain ${node}: ${words.join(', ')}. Go on?`;
}
