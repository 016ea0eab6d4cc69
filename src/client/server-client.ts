/** The servers of the control plane. */
import type { ObjectList } from '../api/meta.ts';
import type { ServerObject } from '../api/server.ts';
import type { Transport } from './transport.ts';

export interface ServerClient {
  list(signal: AbortSignal): Promise<ObjectList<ServerObject>>;
}

export function createServerClient(transport: Transport): ServerClient {
  return {
    list: async (signal) => (await transport.request({ method: 'GET', path: '/api/v1/servers' }, signal)).body as ObjectList<ServerObject>,
  };
}
