/** What is stored of credentials: kinds of their own, which users see as Tokens or not at all. Hashes and public keys, never secrets. */
import { API_VERSION, type ObjectMeta } from '../../api/meta.ts';
import type { NODE_KEY_STATES, TokenObject } from '../../api/token.ts';
import type { Draft, StoredObject } from '../../store/store.ts';

export const TOKEN_KIND = 'Token';
export const NODE_KEY_KIND = 'NodeKey';
export const NODE_CREDENTIAL_KIND = 'NodeCredential';

/** `metadata.name` is the id. */
export interface StoredToken extends TokenObject {
  /** SHA-256 of the secret, hex */
  readonly hash: string;
}

/**
 * The key of a node's agent; `metadata.name` is the node's. It outlives the Node as `Revoked`, for as long as the Node's tombstone does,
 * so that its agent can be told; and as `Rejected`, so that the token that it joined with does not let it in again.
 */
export interface NodeKey extends StoredObject {
  readonly kind: typeof NODE_KEY_KIND;
  /** Ed25519, 32 bytes, base64url */
  readonly publicKey: string;
  /** of the join token that took it down; not there: an earlier version wrote it */
  readonly tokenId?: string;
  readonly state: (typeof NODE_KEY_STATES)[number];
  /** what is to be signed for the next credential; another one once that is made */
  readonly nonce: string;
  /** ids of the NodeCredentials, oldest first */
  readonly credentials: readonly string[];
  /** of the Node that it speaks for; undefined until that has registered */
  readonly nodeUid?: string;
  /** the next machine with a join token gets the name */
  readonly isReleased?: true;
  readonly hostname?: string;
  readonly address?: string;
}

/** `metadata.name` is the id. */
export interface NodeCredential extends StoredObject {
  readonly kind: typeof NODE_CREDENTIAL_KIND;
  readonly node: string;
  readonly hash: string;
  readonly expiresAt: string;
}

/** An object of one of the kinds above that is to be created. */
export function newStored<Item extends StoredObject>(
  kind: Item['kind'],
  metadata: Omit<ObjectMeta, 'resourceVersion'>,
  fields: Omit<Item, keyof StoredObject>,
): Draft<Item> {
  return { apiVersion: API_VERSION, kind, metadata, ...fields } as unknown as Draft<Item>; // Item is StoredObject and `fields`
}

/** A token as admins see it. */
export function presentToken({ hash: _hash, ...token }: StoredToken): TokenObject {
  return token;
}
