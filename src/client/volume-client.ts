/** Volumes as functions: what is there, the request to delete one, and what agents say. */
import type { ObjectList } from '../api/meta.ts';
import type { DeletionGrant, DeletionUpdate, VolumeObject, VolumeReport } from '../api/volume.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import { findOne, readAllPages, watchCollection } from './collection.ts';
import type { Transport } from './transport.ts';

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
const PATH = `${API}/volumes`;

export function createVolumeClient(transport: Transport): VolumeClient {
  const ofNode = (node: string): string => `${API}/nodes/${encodeURIComponent(node)}/volumes`;
  const pathOf = (node: string, name: string): string => `${ofNode(node)}/${encodeURIComponent(name)}`;
  return {
    list: (query, signal) => readAllPages<VolumeObject>(transport, { path: PATH, parameters: toParameters(query) }, signal),
    find: (node, name, signal) => findOne<VolumeObject>(transport, pathOf(node, name), signal),
    watch: (query, signal) =>
      watchCollection<VolumeObject>(transport, { path: PATH, parameters: toParameters(query), since: query.since }, signal),
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
