/**
 * Agent credentials: what the server shows each agent's own API, and what an agent shows when it opens its tunnel.
 *
 * Owns     one per node, made anew at each registration; sealed under the keys of Secrets, and bound to the node's uid. One that cannot
 *          be opened any more (those keys were rotated) counts as none: the agent's tunnel is refused, and it registers again.
 * Callers  http/routes/nodes.ts issues; http/routes/tunnel.ts checks; node-links.ts reads.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { API_VERSION } from '../../api/meta.ts';
import type { NodeObject } from '../../api/node.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Store, StoredObject } from '../../store/store.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import type { SealedValue, Sealer } from '../secrets/sealer.ts';
import { newMeta, putOver } from '../objects/record.ts';

export const AGENT_CREDENTIAL_KIND = 'AgentCredential';
const CREDENTIAL_BYTES = 32;

/** Internal: users do not see it. `metadata.name` is the node's. */
interface CredentialRecord extends StoredObject {
  readonly kind: typeof AGENT_CREDENTIAL_KIND;
  /** of the Node that it was made for: one that is made anew under the name has none */
  readonly node: string;
  readonly sealed: SealedValue;
}

export interface AgentCredentials {
  /** Makes another one for the node. @returns it, for its agent alone */
  issue(node: NodeObject): Promise<string>;
  /** The one that the node's agent holds; undefined where it has none that can be read. */
  find(node: NodeObject): Promise<string | undefined>;
  /** Tells in constant time whether `given` is the node's. */
  matches(node: NodeObject, given: string | undefined): Promise<boolean>;
}

export interface AgentCredentialsDeps {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
}

export function createAgentCredentials({ store, sealer, clock, random }: AgentCredentialsDeps): AgentCredentials {
  const placeOf = ({ metadata }: NodeObject) => ({ secret: `agent of ${metadata.name}`, uid: metadata.uid, key: 'credential' });

  async function issueOnce(node: NodeObject): Promise<string> {
    const { name, uid } = node.metadata;
    const credential = randomBytes(CREDENTIAL_BYTES).toString('base64url');
    const before = await store.get<CredentialRecord>(AGENT_CREDENTIAL_KIND, name);
    const now = nowRfc3339(clock);
    const metadata = before?.metadata ?? newMeta(name, random.uuid(), now);
    const object = {
      apiVersion: API_VERSION,
      kind: AGENT_CREDENTIAL_KIND,
      metadata: { ...metadata, updatedAt: now },
      node: uid,
      sealed: sealer.seal(placeOf(node), Buffer.from(credential)),
    };
    await store.commit([putOver(before, object)]);
    return credential;
  }

  async function find(node: NodeObject): Promise<string | undefined> {
    const record = await store.get<CredentialRecord>(AGENT_CREDENTIAL_KIND, node.metadata.name);
    return record?.node === node.metadata.uid ? sealer.tryOpen(placeOf(node), record.sealed)?.toString() : undefined;
  }

  return {
    issue: (node) => retryOnConflict(() => issueOnce(node), ['Conflict', 'AlreadyExists']),
    find,
    matches: async (node, given) => {
      const expected = await find(node);
      return expected !== undefined && given !== undefined && timingSafeEqual(digest(expected), digest(given));
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
