/**
 * Identity record: what is kept of a node's identity beside the Node, and goes with it: deleting a node lets any machine take its name.
 * It has no bootId: an agent's restart writes nothing, and after the server's own nobody knows who was there. It has the machines that may
 * have been granted (fence-ledger.ts), as what is fenced must not be granted to another one while the server does not remember.
 *
 * Callers  node-service.ts writes it; start-nodes.ts reads all of them.
 */
import { API_VERSION } from '../../api/meta.ts';
import type { StoredObject, Write } from '../../store/store.ts';
import { newMeta, putOver } from '../objects/record.ts';
import { newHolding, type Holding, type Party } from './node-identity.ts';

export const IDENTITY_KIND = 'NodeIdentity';

/** Internal: users do not see it. `metadata.name` is the node's. */
export interface IdentityRecord extends StoredObject {
  readonly kind: typeof IDENTITY_KIND;
  readonly identity: { readonly id: string };
  readonly hostname?: string;
  /** as Party.machine; more than one: the last was not granted yet when this was written */
  readonly grantees?: readonly string[];
  /** reset by a user: the next to register gets the name */
  readonly isReleased?: true;
}

/** Stands for whoever it was, in what the ledger and the record have of grantees. */
export const UNKNOWN_GRANTEE = '?';

export function holdingOf(record: IdentityRecord): Holding {
  const { identity, hostname, isReleased } = record;
  const grantee = granteeOfRecord(record);
  const isMachine = grantee !== UNKNOWN_GRANTEE && grantee !== identity.id;
  return { ...newHolding({ id: identity.id, hostname, ...(isMachine && { machine: grantee }) }), isReleased: isReleased ?? false };
}

/** Who may have been granted last. */
export function granteeOfRecord({ identity, grantees = [identity.id] }: IdentityRecord): string {
  const [grantee = UNKNOWN_GRANTEE, ...others] = grantees;
  return others.length === 0 ? grantee : UNKNOWN_GRANTEE;
}

/** The writes that make `party` the holder; none when it is already. @param options.now RFC 3339 */
export function writesOfHolder(
  name: string,
  existing: IdentityRecord | undefined,
  { id, hostname }: Party,
  options: { readonly uid: string; readonly now: string; readonly grantees: readonly string[] },
): readonly Write[] {
  const { grantees } = options;
  const isSame = existing?.identity.id === id && existing.hostname === hostname && existing.isReleased !== true;
  if (isSame && existing.grantees?.join(' ') === grantees.join(' ')) {
    return [];
  }
  const { uid, now } = options;
  const object = {
    apiVersion: API_VERSION,
    kind: IDENTITY_KIND,
    metadata: newMeta(name, uid, now),
    identity: { id },
    grantees,
    ...(hostname !== undefined && { hostname }),
  } satisfies Omit<IdentityRecord, 'metadata'> & { readonly metadata: object };
  return [putOver(existing, object)];
}

/** The write that gives the name to whoever registers next. */
export function writeOfRelease(existing: IdentityRecord): Write {
  return { op: 'update', object: { ...existing, isReleased: true } as IdentityRecord, expectedVersion: existing.metadata.resourceVersion };
}

/** The write that says who alone may have been granted; undefined: it says so already. */
export function writeOfGrantee(existing: IdentityRecord, grantee: string): Write | undefined {
  const object = { ...existing, grantees: [grantee] } as IdentityRecord;
  return existing.grantees?.length === 1 && existing.grantees[0] === grantee
    ? undefined
    : { op: 'update', object, expectedVersion: existing.metadata.resourceVersion };
}
