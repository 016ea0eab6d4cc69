/** Servers as users see them. Pure. */
import { API_VERSION } from '../../api/meta.ts';
import type { ServerObject } from '../../api/server.ts';
import { VERSION } from '../../base/version.ts';
import type { SeenServer } from './cluster-session.ts';

/** @param leaderId of the one that leads, where one does */
export function toServerObject(
  { id, name, url, version, startedAt, seenAt, isAlive }: SeenServer,
  leaderId: string | undefined,
): ServerObject {
  const role = !isAlive ? 'Gone' : id === leaderId ? 'Leader' : 'Follower';
  const createdAt = startedAt.toISOString();
  return {
    apiVersion: API_VERSION,
    kind: 'Server',
    metadata: {
      name,
      labels: {},
      annotations: {},
      uid: id,
      resourceVersion: '0',
      generation: 1,
      createdAt,
      updatedAt: seenAt.toISOString(),
    },
    status: { role, url, version, lastSeen: seenAt.toISOString() },
  };
}

/** The only server there is. @param now RFC 3339 */
export function soleServer(facts: {
  readonly name: string;
  readonly url: string;
  readonly id: string;
  readonly startedAt: Date;
  readonly now: Date;
}): ServerObject {
  const { id, name, url, startedAt, now } = facts;
  return toServerObject({ id, name, url, version: VERSION, startedAt, seenAt: now, isAlive: true }, id);
}
