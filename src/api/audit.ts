/** Audit entries: who did what to which object, from where, and what came of it. Never what was said: no bodies, no queries, no secrets. */
import Type, { type Static } from 'typebox';
import { Closed, OneOf, Text, Timestamp } from './meta.ts';
import { OBJECT_REFERENCE } from './event.ts';

const OUTCOMES = ['Done', 'Refused', 'Failed'] as const;

export const AuditEntry = Closed({
  at: Timestamp,
  who: Type.String({ description: 'A user, node/NAME, join-token/ID, anybody (nothing is asked for) or nobody (no good credentials)' }),
  role: Type.Optional(Type.String()),
  token: Type.Optional(Type.String({ description: 'Id of the token shown' })),
  from: Type.Optional(Type.String({ description: 'Remote address' })),
  verb: Type.String({ description: 'create, update, delete, reveal, exec, use; join, login; of a refusal also read, report' }),
  object: Type.Optional(Type.String({ description: 'Kind/name' })),
  request: Type.String({ description: 'Method and path, without the query' }),
  outcome: OneOf(OUTCOMES),
  status: Type.Integer(),
  detail: Type.Optional(Type.String({ description: 'Of a refusal: why; of an apply: created, configured or unchanged' })),
  requestId: Type.String(),
  suppressed: Type.Optional(Type.Integer({ description: 'Refusals of the same address before this one that were not written down' })),
  lost: Type.Optional(Type.Integer({ description: 'Entries before this one that could not be written, as when the disk was full' })),
});
export type AuditEntry = Readonly<Static<typeof AuditEntry>>;

export const AuditQuery = Closed({
  since: Type.Optional(Type.String({ maxLength: 64, description: 'A duration back from now (10m), or an RFC 3339 time' })),
  who: Type.Optional(Type.String({ maxLength: 300, description: 'As entries have it, such as alice or node/worker-01' })),
  object: Type.Optional(Text(OBJECT_REFERENCE, 'Only those about this object')),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'The newest so many; default 1000' })),
});
export type AuditQuery = Readonly<Static<typeof AuditQuery>>;

export const AuditList = Closed({ kind: Type.Literal('AuditList'), items: Type.Array(AuditEntry) });
