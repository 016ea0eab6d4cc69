/**
 * Cluster session: what the servers of a cluster have between them: one lock, and a list of who is there. A port, so that the simulation
 * can have one without a database.
 *
 * Callers  membership.ts; postgres-session.ts makes it of PostgreSQL.
 */
import type { ServerIdentity } from './leader-record.ts';

/** ms; how often a server says that it is there. */
export const PRESENCE_MS = 5_000;

/** ms; after so long without a word a session is ended by the database. Three ticks of membership.ts and a slow statement fit in. */
export const SESSION_LIMIT_MS = 2_500;

/** A server as the database knows it. */
export interface SeenServer extends ServerIdentity {
  readonly version: string;
  readonly startedAt: Date;
  readonly seenAt: Date;
  /** whether it was seen lately */
  readonly isAlive: boolean;
}

/** One connection. Whatever fails leaves it closed, but what the database itself refuses. */
export interface ClusterSession {
  readonly isOpen: boolean;
  /** Takes the lock whose holder leads, if nobody has it. It is let go with the session, by whatever end. */
  tryLock(): Promise<boolean>;
  /** A word, so that the session goes on. */
  say(): Promise<void>;
  /** Puts the server among those that are there, and forgets those that have not been for long. */
  sayHere(server: ServerIdentity): Promise<void>;
  sayGone(server: ServerIdentity): Promise<void>;
  listServers(): Promise<readonly SeenServer[]>;
  /** Ends it in order. */
  close(): Promise<void>;
  /** Ends it at once. */
  destroy(): void;
}
