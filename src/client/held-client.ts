/** Held Projects as functions. */
import type { HeldReport, HeldView } from '../api/project/held-project.ts';
import type { ProjectObject } from '../api/project.ts';
import type { Transport } from './transport.ts';

export interface HeldClient {
  list(signal: AbortSignal): Promise<readonly HeldView[]>;
  /** @throws {ApiError} NotFound, Conflict */
  adopt(node: string, project: string, signal: AbortSignal): Promise<ProjectObject>;
  /** For agents: all that the node holds. @throws {ApiError} NodeDeleted, Conflict */
  report(node: string, report: HeldReport, signal: AbortSignal): Promise<void>;
}

const API = '/api/v1';

export function createHeldClient(transport: Transport): HeldClient {
  const ofNode = (node: string): string => `${API}/nodes/${encodeURIComponent(node)}/held-projects`;
  return {
    list: async (signal) => {
      const { body } = await transport.request({ method: 'GET', path: `${API}/held-projects` }, signal);
      return (body as { readonly items: readonly HeldView[] }).items;
    },
    adopt: async (node, project, signal) => {
      const path = `${ofNode(node)}/${encodeURIComponent(project)}/adopt`;
      return (await transport.request({ method: 'POST', path }, signal)).body as ProjectObject;
    },
    report: async (node, report, signal) => {
      await transport.request({ method: 'PUT', path: ofNode(node), body: report }, signal);
    },
  };
}
