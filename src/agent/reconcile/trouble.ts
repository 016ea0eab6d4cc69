/** What is said of a Project that the engine could not be asked about; pure. Callers: project-loop.ts. */
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject, StatusReport } from '../../api/project.ts';
import { EngineError, hasEngineReason } from '../docker/engine-error.ts';

/** Without it the server would hear nothing of a new Project, and whoever waits for it neither. @returns undefined where the node itself says it */
export function reportTrouble(project: ProjectObject | undefined, error: unknown): StatusReport | undefined {
  const isNodes = hasEngineReason(error, 'EngineUnreachable', 'Timeout');
  if (
    project === undefined ||
    project.metadata.deletedAt !== undefined ||
    isLeaving(project) ||
    isNodes ||
    !(error instanceof EngineError)
  ) {
    return undefined;
  }
  const { metadata, status, spec } = project;
  return {
    phase: 'Failed',
    reason: error.reason,
    message: `${error.message}; it is tried again`,
    assignment: status.assignment,
    uid: metadata.uid,
    observedGeneration: metadata.generation,
    services: spec.services.map(({ name }) => ({ name, state: 'Pending', ready: false })),
  };
}
