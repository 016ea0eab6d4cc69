/** Seat: what a server is among those on its database, as its parts need to know it. */
import type { onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify';
import type { ServerObject } from '../../api/server.ts';
import type { Stopper } from '../../base/stopper.ts';

/** What spawns loops. */
export type Spawner = Pick<Stopper, 'spawn' | 'signal'>;

export interface Seat {
  /** controllers, the scheduler and leases are the leader's; everything else is everybody's */
  readonly role: 'leads' | 'follows';
  /** whether what is granted to agents now is known to whoever leads next */
  readonly mayGrant: () => boolean;
  /** ms; how long after the beginning of this leadership an earlier leader may have granted something still */
  readonly grantSlackMs: number;
  /** sees each request first */
  readonly onRequest?: onRequestHookHandler | onRequestAsyncHookHandler;
  /** all servers; undefined: this one is the only one */
  readonly listServers?: () => Promise<readonly ServerObject[]>;
}

/** The only server on its store. */
export const SOLE_SEAT: Seat = { role: 'leads', mayGrant: () => true, grantSlackMs: 0 };

/** What spawns the loops of a leader: nothing, where it does not lead. */
export function leadersSpawner(seat: Seat, stopper: Stopper): Spawner {
  return seat.role === 'leads' ? stopper : { spawn: () => undefined, signal: stopper.signal };
}

/** What spawns its loops, all of them in order, when `begin` is called. */
export function delaySpawns(spawner: Spawner): { readonly spawner: Spawner; readonly begin: () => void } {
  const waiting: (() => void)[] = [];
  return {
    spawner: { spawn: (name, loop) => void waiting.push(() => spawner.spawn(name, loop)), signal: spawner.signal },
    begin: () => waiting.forEach((spawn) => spawn()),
  };
}
