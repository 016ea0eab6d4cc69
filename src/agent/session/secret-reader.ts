/** Reads Secrets from the server, as this node. Callers: reconcile/secret-cache.ts, through the port that it has. */
import type { CaraClient } from '../../client/cara-client.ts';
import type { SecretSource } from '../reconcile/secret-cache.ts';

export function createSecretReader(client: Pick<CaraClient, 'secrets'>, nodeName: string): SecretSource {
  return {
    read: async (name, signal) => {
      const { status, data = {} } = await client.secrets.readForNode(nodeName, name, signal);
      const values = status.keys.flatMap(({ name: key, fingerprint }) => {
        const value = Object.hasOwn(data, key) ? data[key] : undefined;
        return value === undefined ? [] : [[key, { fingerprint, bytes: Buffer.from(value, 'base64') }] as const];
      });
      return { name, fingerprint: status.fingerprint, values: new Map(values) };
    },
  };
}
