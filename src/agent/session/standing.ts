/** Standing: whether and how the server knows this node. */
import type { ApiError } from '../../api/errors.ts';

/**
 * `joining`: not registered yet, or no longer known; `deleted`: the record was deleted while the agent ran; `refused`: another machine
 * holds the name, so that nothing the server says of the node is for this one.
 */
export type Standing = 'joining' | 'registered' | 'deleted' | 'refused';

/** The one place where the standing is kept; session.ts, the registrar and the heartbeater's callbacks write it. */
export interface StandingCell {
  current: Standing;
  /** whether a server has taken a registration of this process */
  hasRegistered: boolean;
}

/** Tells whether the server refuses this machine as another one, which is alive, has the node's name. */
export function isHeldByAnother({ reason }: ApiError): boolean {
  return reason === 'NameTaken' || reason === 'DuplicateIdentity';
}
