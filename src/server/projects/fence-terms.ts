/**
 * Fence terms: for how long the agent of a fenced Project may run it without a word from the server; pure.
 *
 * An agent that is cut off goes by the spec it was told last, not by the one that stands here. So status.fence keeps the longest `after`
 * that it may know of, until it has confirmed the present spec; nothing at all while it may not know of the fence, or still have
 * containers from before it. The Project is given away only after the longest.
 * Callers  project-status.ts and project-phase.ts (who keep it), project-controller.ts and composition.ts (who go by it)
 */
import { durationToMs, formatDuration } from '../../api/duration.ts';
import { deriveFenceTerms } from '../../api/project/fence.ts';
import type { ProjectObject, ProjectSpec, ProjectStatus } from '../../api/project.ts';

/** A node was chosen: its agent will hear of the present spec, or of a later one. */
export function withTermsOfBinding(status: ProjectStatus, spec: ProjectSpec): ProjectStatus {
  const terms = deriveFenceTerms(spec);
  return terms === undefined ? withoutTerms(status) : { ...status, fence: { after: formatDuration(terms.afterMs) } };
}

/** The spec was changed to `spec`; the agent may hear of it, or not. */
export function withTermsOfEdit(status: ProjectStatus, spec: ProjectSpec): ProjectStatus {
  const terms = deriveFenceTerms(spec);
  if (terms === undefined || status.nodeRef === undefined) {
    return withoutTerms(status);
  }
  const before = status.fence?.after;
  const fence = before === undefined ? {} : { after: formatDuration(Math.max(durationToMs(before), terms.afterMs)) };
  return { ...status, fence };
}

/**
 * The agent has reported on the present spec; it keeps to the shorter of what it knew from the moment it is told, before it reports.
 * One that did not know of the fence has confirmed it only when no container from before it is left: when all of it runs.
 */
export function withTermsOfReport(status: ProjectStatus, spec: ProjectSpec): ProjectStatus {
  const isConfirmed = status.fence?.after !== undefined || status.phase === 'Running';
  return isConfirmed ? withTermsOfBinding(status, spec) : status;
}

/** For how long after its last grant the agent may run the Project, in milliseconds; Infinity: nobody can tell. */
export function fenceHoldMs({ status }: ProjectObject): number {
  return status.fence?.after === undefined ? Infinity : durationToMs(status.fence.after);
}

/** The longest `fenceHoldMs` of the fenced Projects on a node; 0 when there are none. */
export function longestHoldMs(projects: Iterable<ProjectObject>, node: string): number {
  let longestMs = 0;
  for (const project of projects) {
    if (project.status.nodeRef === node && deriveFenceTerms(project.spec) !== undefined) {
      longestMs = Math.max(longestMs, fenceHoldMs(project));
    }
  }
  return longestMs;
}

function withoutTerms(status: ProjectStatus): ProjectStatus {
  if (status.fence === undefined) {
    return status;
  }
  const { fence: _fence, ...rest } = status;
  return rest;
}
