/**
 * Node identity: who holds a node's name, so that two machines never share one. Pure.
 *
 * An agent makes its identity at its first start and keeps it in its data folder. The record of it is stored beside the Node and goes
 * with it: deleting a node lets any machine take its name.
 * Callers  node-service.ts.
 */
import { ApiError } from '../../api/errors.ts';
import { formatDuration } from '../../api/duration.ts';
import { API_VERSION } from '../../api/meta.ts';
import type { Registration } from '../../api/node.ts';
import type { StoredObject, Write } from '../../store/store.ts';

export const IDENTITY_KIND = 'NodeIdentity';

/** Internal: users do not see it. `metadata.name` is the node's. */
export interface NodeIdentity extends StoredObject {
  readonly kind: typeof IDENTITY_KIND;
  readonly identity: NonNullable<Registration['identity']>;
  readonly hostname?: string;
}

export interface Claim {
  readonly name: string;
  /** who holds the name; undefined: nobody who said so */
  readonly identity: NodeIdentity | undefined;
  readonly registration: Registration;
  /** how long the holder still holds it without another heartbeat, in milliseconds; undefined: it is silent */
  readonly heldForMs: number | undefined;
}

/** A name can be claimed by its holder, and by anybody when the holder is silent. @throws {ApiError} NameTaken */
export function checkIdentity({ name, identity: holder, registration, heldForMs }: Claim): void {
  const claimant = registration.identity;
  if (holder === undefined || claimant === undefined || heldForMs === undefined || holder.identity.id === claimant.id) {
    return;
  }
  const wait = formatDuration(Math.ceil(heldForMs / 1000) * 1000);
  throw new ApiError(
    'NameTaken',
    `Cannot register node ${JSON.stringify(name)} as another machine holds the name: ` +
      `it is ${describe(holder.identity.id, holder.hostname)}, you are ${describe(claimant.id, registration.hostname)}; ` +
      `set another NODE_NAME here, or stop the other agent and wait ${wait}, or give the name up with: caractrl delete node ${name}`,
    { retryAfterMs: heldForMs },
  );
}

export interface IdentityParts {
  readonly name: string;
  readonly existing: NodeIdentity | undefined;
  readonly registration: Registration;
  readonly uid: string;
  /** RFC 3339 */
  readonly now: string;
}

/** The write that makes the claimant the holder; none when it is already, or does not say who it is. */
export function writeIdentity({ name, existing, registration, uid, now }: IdentityParts): readonly Write[] {
  const { identity, hostname } = registration;
  if (identity === undefined || (existing?.identity.id === identity.id && existing.identity.bootId === identity.bootId)) {
    return [];
  }
  const metadata = { name, labels: {}, annotations: {}, uid, generation: 1, createdAt: now, updatedAt: now };
  const object = { apiVersion: API_VERSION, kind: IDENTITY_KIND, metadata, identity, ...(hostname !== undefined && { hostname }) };
  return [existing === undefined ? { op: 'create', object } : { op: 'update', object, expectedVersion: existing.metadata.resourceVersion }];
}

function describe(id: string, hostname: string | undefined): string {
  return hostname === undefined ? `identity ${id}` : `${hostname} (identity ${id})`;
}
