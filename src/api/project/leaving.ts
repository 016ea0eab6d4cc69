/**
 * Whether a Project is on its way off its node, or has left it. Apart from project.ts, so that agents, which decode nothing, need not
 * load the schemas: TypeBox is 20 MB of resident memory.
 */
import type { ProjectObject, ProjectStatus } from '../project.ts';

/** The type of the condition that tells how the latest move off a node went. */
export const MOVED = 'Moved';

/** Tells whether the Project's agent is to tear it down because it was asked to leave its node. */
export function isLeaving({ status }: Pick<ProjectObject, 'status'>): boolean {
  return status.move !== undefined && status.move.from === status.nodeRef;
}

/** Tells whether the agent has confirmed that the Project is gone from the node that it was asked to leave last. */
export function hasMoved({ conditions }: Pick<ProjectStatus, 'conditions'>): boolean {
  return conditions.some(({ type, status }) => type === MOVED && status === 'True');
}
