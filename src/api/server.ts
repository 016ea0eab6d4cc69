/** The Server: one of the control plane's processes, as the others on its database see it. Nobody writes it. */
import Type, { type Static } from 'typebox';
import { API_VERSION, Closed, Meta, OneOf, Timestamp, type ObjectMeta } from './meta.ts';

/** `Leader`: runs controllers and leases; `Follower`: serves, and hands on what only the leader knows; `Gone`: not seen lately. */
export const SERVER_ROLES = ['Leader', 'Follower', 'Gone'] as const;

export const ServerSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Server'),
  metadata: Meta,
  status: Closed({
    role: OneOf(SERVER_ROLES),
    url: Type.String({ description: 'Where the other servers reach it' }),
    version: Type.String(),
    lastSeen: Timestamp,
  }),
});

export interface ServerObject extends Omit<Static<typeof ServerSchema>, 'metadata'> {
  readonly metadata: ObjectMeta;
}
