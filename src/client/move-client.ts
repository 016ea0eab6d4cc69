/** Emptying nodes and moving Projects, as functions. */
import type { DrainPlan, MoveRequest } from '../api/project/drain.ts';
import type { Transport } from './transport.ts';

export interface MoveClient {
  /** Cordons a node and asks what can move to leave it; with `dryRun` only says what would become of each. @throws {ApiError} NotFound, Invalid */
  drainNode(node: string, request: MoveRequest, signal: AbortSignal): Promise<DrainPlan>;
  /** Asks one Project to leave its node. @throws {ApiError} NotFound, Invalid; Immovable, with why */
  moveProject(project: string, request: MoveRequest, signal: AbortSignal): Promise<DrainPlan>;
}

export function createMoveClient(transport: Transport): MoveClient {
  const post = async (path: string, body: MoveRequest, signal: AbortSignal): Promise<DrainPlan> =>
    (await transport.request({ method: 'POST', path: `/api/v1/${path}`, body }, signal)).body as DrainPlan;
  return {
    drainNode: (node, request, signal) => post(`nodes/${encodeURIComponent(node)}/drain`, request, signal),
    moveProject: (project, request, signal) => post(`projects/${encodeURIComponent(project)}/move`, request, signal),
  };
}
