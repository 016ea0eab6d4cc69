/** Secrets as functions: as of every kind, and the ways in which values come and go. */
import type { SecretObject } from '../api/secret.ts';
import type { ResourceClient } from './resource-client.ts';
import type { Transport } from './transport.ts';

export interface SecretClient extends ResourceClient<SecretObject> {
  /** @throws {ApiError} AlreadyExists, Invalid */
  create(manifest: unknown, signal: AbortSignal): Promise<SecretObject>;
  /** With its values in `data`. @throws {ApiError} NotFound; Forbidden for who may not see them */
  reveal(name: string, signal: AbortSignal): Promise<SecretObject>;
  /** With its values, for the agent of `node`. @throws {ApiError} NotFound; Forbidden where no Project bound to the node uses it */
  readForNode(node: string, name: string, signal: AbortSignal): Promise<SecretObject>;
}

export function createSecretClient(transport: Transport, resource: ResourceClient<SecretObject>): SecretClient {
  const get = async (path: string, signal: AbortSignal): Promise<SecretObject> =>
    (await transport.request({ method: 'GET', path: `/api/v1/${path}` }, signal)).body as SecretObject;
  return {
    ...resource,
    create: async (manifest, signal) =>
      (await transport.request({ method: 'POST', path: '/api/v1/secrets', body: manifest }, signal)).body as SecretObject,
    reveal: (name, signal) => get(`secrets/${encodeURIComponent(name)}?reveal=true`, signal),
    readForNode: (node, name, signal) => get(`nodes/${encodeURIComponent(node)}/secrets/${encodeURIComponent(name)}`, signal),
  };
}
