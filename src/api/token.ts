/** Tokens: what people, their tools and joining machines show to the server. Only hashes of them are kept. */
import Type, { type Static } from 'typebox';
import { PERSON_ROLES, RIGHTS, TOKEN_ROLES, VERBS, ACCESS_RESOURCES } from './access.ts';
import { DURATION } from './duration.ts';
import { API_VERSION, Closed, Meta, OneOf, Text, Timestamp, type ObjectMeta } from './meta.ts';
import { DNS_SUBDOMAIN, type Grammar } from './names.ts';

/** Whose a token is, as audits show it. */
export const USER_NAME = {
  pattern: '^[A-Za-z0-9]([A-Za-z0-9._@-]*[A-Za-z0-9])?$',
  expects: 'a name of a person or a tool: letters, digits, ".", "_", "@" and "-", at most 63 (for example alice)',
  maxLength: 63,
} as const satisfies Grammar;

/** Start of a DNS subdomain. */
const NAME_PREFIX = {
  pattern: '^[a-z0-9][a-z0-9.-]*$',
  expects: 'the beginning of names: lower-case letters, digits, "-" and ".", such as team-a-',
  maxLength: 253,
} as const satisfies Grammar;

/** Which Projects and Secrets a token is for; both must hold where both are given. */
export const TokenLimit = Closed({
  labelSelector: Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description: 'Such as team=a' })),
  namePrefix: Type.Optional(Text(NAME_PREFIX)),
});
export type TokenLimit = Readonly<Static<typeof TokenLimit>>;

const MAX_USES = 10_000;

/** Body of `POST /tokens`. */
export const TokenRequest = Closed({
  role: OneOf(TOKEN_ROLES, 'node: lets machines join, and nothing else'),
  user: Type.Optional(Text(USER_NAME, 'Whose it is; required but for role node')),
  rights: Type.Optional(Type.Array(OneOf(RIGHTS), { maxItems: 3, description: 'What no role but admin has by itself' })),
  limit: Type.Optional(TokenLimit),
  node: Type.Optional(Text(DNS_SUBDOMAIN, 'Role node: the one name to join under')),
  uses: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_USES, description: 'Role node: how many machines; default 1' })),
  ttl: Type.Optional(Text(DURATION, 'How long it is good; role node: default 1h, others: until it is revoked')),
});
export type TokenRequest = Readonly<Static<typeof TokenRequest>>;

export interface TokenSpec {
  readonly role: (typeof TOKEN_ROLES)[number];
  readonly user?: string;
  readonly rights?: readonly (typeof RIGHTS)[number][];
  readonly limit?: TokenLimit;
  readonly node?: string;
  readonly expiresAt?: string;
}

/** `metadata.name` is the token's id: what stands between `cara_` and the secret. */
export interface TokenObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Token';
  readonly metadata: ObjectMeta;
  readonly spec: TokenSpec;
  /** `usesLeft`: role node alone */
  readonly status: { readonly usesLeft?: number };
}

export const TokenSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Token'),
  metadata: Meta,
  spec: Closed({
    role: OneOf(TOKEN_ROLES),
    user: Type.Optional(Type.String()),
    rights: Type.Optional(Type.Array(OneOf(RIGHTS))),
    limit: Type.Optional(TokenLimit),
    node: Type.Optional(Type.String()),
    expiresAt: Type.Optional(Timestamp),
  }),
  status: Closed({ usesLeft: Type.Optional(Type.Integer()) }),
});

/** The only answer that has the token itself. */
export const NewToken = Closed({ token: Type.String({ description: 'cara_ID_SECRET; shown this once' }), object: TokenSchema });
export interface NewToken {
  readonly token: string;
  readonly object: TokenObject;
}

/** Answer of `GET /auth/whoami`. */
export const WhoAmI = Closed({
  kind: OneOf(['Everyone', 'Person', 'Node', 'Joining'], 'Everyone: this server asks for no credentials'),
  user: Type.Optional(Type.String()),
  role: Type.Optional(OneOf(PERSON_ROLES)),
  rights: Type.Optional(Type.Array(OneOf(RIGHTS))),
  limit: Type.Optional(TokenLimit),
  node: Type.Optional(Type.String()),
  tokenId: Type.Optional(Type.String()),
  expiresAt: Type.Optional(Timestamp),
});
export type WhoAmI = Readonly<Static<typeof WhoAmI>>;

export const CanIQuery = Closed({
  verb: OneOf(VERBS),
  resource: OneOf(ACCESS_RESOURCES),
  name: Type.Optional(Text(DNS_SUBDOMAIN, 'Of one object; without it: of any')),
});

export const CanIAnswer = Closed({ allowed: Type.Boolean(), why: Type.String({ description: 'A sentence' }) });
export type CanIAnswer = Readonly<Static<typeof CanIAnswer>>;

const CHALLENGE = {
  pattern: '^[A-Za-z0-9_-]{43}$',
  expects: 'what the answer to POST /nodes/{name}/challenge has',
} as const satisfies Grammar;
const SIGNATURE = { pattern: '^[A-Za-z0-9_-]{86}$', expects: 'an Ed25519 signature, 64 bytes in base64url' } as const satisfies Grammar;

/** Body of `POST /nodes/{name}/credential`. */
export const ProofOfKey = Closed({ challenge: Text(CHALLENGE), signature: Text(SIGNATURE) });
export type ProofOfKey = Readonly<Static<typeof ProofOfKey>>;

export const NodeChallengeSchema = Closed({
  clusterId: Type.String(),
  challenge: Text(CHALLENGE, 'To be signed with the key of the node'),
});
export const NewNodeCredentialSchema = Closed({
  token: Type.String({ description: 'cara_ID_SECRET' }),
  lastsMs: Type.Integer({ description: 'Milliseconds from its making' }),
});

/** Pending: waits for `caractrl node approve`. Revoked: the node was deleted. Rejected: by `caractrl node reject`. */
export const NODE_KEY_STATES = ['Pending', 'Approved', 'Revoked', 'Rejected'] as const;

/** A machine that has joined, as admins see it. */
export const NodeKeySchema = Closed({
  name: Text(DNS_SUBDOMAIN, 'Of the node'),
  state: OneOf(NODE_KEY_STATES),
  fingerprint: Type.String({ description: 'SHA-256 of the public key, base64url' }),
  hostname: Type.Optional(Type.String()),
  address: Type.Optional(Type.String()),
  joinedAt: Timestamp,
});
export type NodeKeyView = Readonly<Static<typeof NodeKeySchema>>;
