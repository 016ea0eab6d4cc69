/**
 * Whether a Project is on its way off its node. Apart from project.ts, so that agents, which decode nothing, need not load the schemas:
 * TypeBox is 20 MB of resident memory.
 */
import type { ProjectObject } from './project.ts';

/** Tells whether the Project's agent is to tear it down because it was asked to leave its node. */
export function isLeaving({ status }: Pick<ProjectObject, 'status'>): boolean {
  return status.move !== undefined && status.move.from === status.nodeRef;
}
