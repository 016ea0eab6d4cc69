/**
 * Identity record: what is kept of a node's identity beside the Node, and goes with it: deleting a node lets any machine take its name.
 * It has no bootId: an agent's restart writes nothing, and after the server's own nobody knows who was there.
 *
 * Callers  node-service.ts writes it; start-nodes.ts reads all of them.
 */
import { API_VERSION } from '../../api/meta.ts';
import type { StoredObject, Write } from '../../store/store.ts';
import { newHolding, type Holding, type Party } from './node-identity.ts';

export const IDENTITY_KIND = 'NodeIdentity';

/** Internal: users do not see it. `metadata.name` is the node's. */
export interface IdentityRecord extends StoredObject {
  readonly kind: typeof IDENTITY_KIND;
  readonly identity: { readonly id: string };
  readonly hostname?: string;
  /** reset by a user: the next to register gets the name */
  readonly isReleased?: true;
}

export function holdingOf({ identity, hostname, isReleased }: IdentityRecord): Holding {
  return { ...newHolding({ id: identity.id, hostname }), isReleased: isReleased ?? false };
}

/** The writes that make `party` the holder; none when it is already. @param options.now RFC 3339 */
export function writesOfHolder(
  name: string,
  existing: IdentityRecord | undefined,
  { id, hostname }: Party,
  options: { readonly uid: string; readonly now: string },
): readonly Write[] {
  if (existing?.identity.id === id && existing.hostname === hostname && existing.isReleased !== true) {
    return [];
  }
  const { uid, now } = options;
  const metadata = { name, labels: {}, annotations: {}, uid, generation: 1, createdAt: now, updatedAt: now };
  const object = {
    apiVersion: API_VERSION,
    kind: IDENTITY_KIND,
    metadata,
    identity: { id },
    ...(hostname !== undefined && { hostname }),
  } satisfies Omit<IdentityRecord, 'metadata'> & { readonly metadata: object };
  return [existing === undefined ? { op: 'create', object } : { op: 'update', object, expectedVersion: existing.metadata.resourceVersion }];
}

/** The write that gives the name to whoever registers next. */
export function writeOfRelease(existing: IdentityRecord): Write {
  return { op: 'update', object: { ...existing, isReleased: true } as IdentityRecord, expectedVersion: existing.metadata.resourceVersion };
}
