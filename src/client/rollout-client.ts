/** A Project's history, going back in it and restarting, as functions. */
import type { ProjectObject } from '../api/project.ts';
import type { ProjectRevisionList, RestartRequest, UndoRequest } from '../api/project/revision.ts';
import type { Transport } from './transport.ts';

export interface RolloutClient {
  /** Oldest first. @throws {ApiError} NotFound */
  history(project: string, signal: AbortSignal): Promise<ProjectRevisionList>;
  /** @throws {ApiError} NotFound, Invalid, Conflict */
  undo(project: string, request: UndoRequest, signal: AbortSignal): Promise<ProjectObject>;
  /** @throws {ApiError} NotFound, Invalid, Conflict */
  restart(project: string, request: RestartRequest, signal: AbortSignal): Promise<ProjectObject>;
}

export function createRolloutClient(transport: Transport): RolloutClient {
  const pathOf = (project: string, verb: string): string => `/api/v1/projects/${encodeURIComponent(project)}/${verb}`;
  const post = async (path: string, body: object, signal: AbortSignal): Promise<ProjectObject> =>
    (await transport.request({ method: 'POST', path, body }, signal)).body as ProjectObject;
  return {
    history: async (project, signal) =>
      (await transport.request({ method: 'GET', path: pathOf(project, 'history') }, signal)).body as ProjectRevisionList,
    undo: (project, request, signal) => post(pathOf(project, 'undo'), request, signal),
    restart: (project, request, signal) => post(pathOf(project, 'restart'), request, signal),
  };
}
