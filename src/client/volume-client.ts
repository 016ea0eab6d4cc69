/** Volumes as functions: what is there, the request to delete one, and what agents say. */
import { hasReason } from '../api/errors.ts';
import type { ObjectList } from '../api/meta.ts';
import type { DeletionGrant, DeletionUpdate, VolumeObject, VolumeReport } from '../api/volume.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import type { Transport } from './transport.ts';
import { watchPath } from './watch-path.ts';

export interface VolumeQuery {
  readonly nodeRef?: string;
  readonly project?: string;
  /** only those with a deletion that goes on */
  readonly isDeleting?: boolean;
}

export interface VolumeClient {
  /** All pages as one list. */
  list(query: VolumeQuery, signal: AbortSignal): Promise<ObjectList<VolumeObject>>;
  find(node: string, name: string, signal: AbortSignal): Promise<VolumeObject | undefined>;
  /** Events after `since` (a resourceVersion), or, without it, ADDED for each that is there first. @throws {ApiError} Expired */
  watch(query: VolumeQuery & { readonly since?: string }, signal: AbortSignal): AsyncIterable<WatchEvent<VolumeObject>>;
  /** Asks for its deletion. @throws {ApiError} NotFound, InUse, NodeNotReady */
  delete(node: string, name: string, signal: AbortSignal): Promise<VolumeObject>;
  /** For agents: all volumes of the node. @throws {ApiError} NodeDeleted */
  report(node: string, report: VolumeReport, signal: AbortSignal): Promise<void>;
  /** For agents. @returns for how long it may go on, where it is to begin. @throws {ApiError} NotFound; InUse: leave it alone */
  updateDeletion(node: string, name: string, update: DeletionUpdate, signal: AbortSignal): Promise<DeletionGrant | undefined>;
}

const API = '/api/v1';
const PAGE_SIZE = 500;

export function createVolumeClient(transport: Transport): VolumeClient {
  const ofNode = (node: string): string => `${API}/nodes/${encodeURIComponent(node)}/volumes`;
  const pathOf = (node: string, name: string): string => `${ofNode(node)}/${encodeURIComponent(name)}`;
  return {
    list: async (query, signal) => {
      const pages: ObjectList<VolumeObject>[] = [];
      let next: string | undefined;
      do {
        const parameters = toParameters(query);
        parameters.set('limit', String(PAGE_SIZE));
        if (next !== undefined) {
          parameters.set('continue', next);
        }
        const { body } = await transport.request({ method: 'GET', path: `${API}/volumes?${parameters.toString()}` }, signal);
        const page = body as ObjectList<VolumeObject>;
        pages.push(page);
        next = page.metadata.continue;
      } while (next !== undefined);
      const [first] = pages as [ObjectList<VolumeObject>];
      return { ...first, metadata: { resourceVersion: first.metadata.resourceVersion }, items: pages.flatMap(({ items }) => items) };
    },
    find: async (node, name, signal) => {
      try {
        return (await transport.request({ method: 'GET', path: pathOf(node, name) }, signal)).body as VolumeObject;
      } catch (error) {
        if (hasReason(error, 'NotFound')) {
          return undefined;
        }
        throw error;
      }
    },
    watch: (query, signal) => {
      const parameters = toParameters(query);
      parameters.set('watch', 'true');
      if (query.since !== undefined) {
        parameters.set('resourceVersion', query.since);
      }
      return watchPath<VolumeObject>(transport, `${API}/volumes?${parameters.toString()}`, signal);
    },
    delete: async (node, name, signal) =>
      (await transport.request({ method: 'DELETE', path: pathOf(node, name) }, signal)).body as VolumeObject,
    report: async (node, report, signal) => {
      await transport.request({ method: 'PUT', path: ofNode(node), body: report }, signal);
    },
    updateDeletion: async (node, name, update, signal) => {
      const path = `${pathOf(node, name)}/deletion`;
      return (await transport.request({ method: 'POST', path, body: update }, signal)).body as DeletionGrant | undefined;
    },
  };
}

function toParameters({ nodeRef, project, isDeleting }: VolumeQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  if (nodeRef !== undefined) {
    parameters.set('nodeRef', nodeRef);
  }
  if (project !== undefined) {
    parameters.set('project', project);
  }
  if (isDeleting !== undefined) {
    parameters.set('deleting', String(isDeleting));
  }
  return parameters;
}
