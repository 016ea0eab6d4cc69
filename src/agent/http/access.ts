/**
 * Access: who may use the agent's own API. Nobody but the server.
 *
 * Owns     the credential that the server handed out at the last registration; in memory alone, as each start of the agent registers.
 * Never    lets anyone in before there is one, and never shows it: `prove` tells the server that this is its agent, and nobody else anything.
 * Callers  dispatcher.ts asks; compose/link.ts sets it after each registration; session/tunnel.ts shows it to the server.
 */
import { ApiError } from '../../api/errors.ts';
import { proofOf } from '../../base/link-proof.ts';

export interface AgentAccess {
  set(credential: string): void;
  credential(): string | undefined;
  /** @param authorization the header's value @throws {ApiError} Unauthorized */
  check(authorization: string | undefined): void;
  /** What only the holder of the credential can say to `nonce`; undefined before there is one. */
  prove(nonce: string): string | undefined;
}

export function createAgentAccess(): AgentAccess {
  let current: string | undefined;
  return {
    set: (credential) => {
      current = credential;
    },
    credential: () => current,
    check: (authorization) => {
      const given = /^Bearer ([A-Za-z0-9_-]{1,256})$/iu.exec(authorization ?? '')?.[1];
      if (current === undefined || given === undefined || !isEqual(given, current)) {
        throw new ApiError('Unauthorized', `Cannot let you in as ${refusal(current, given)}: ask cara-server, which knows how`);
      }
    },
    prove: (nonce) => (current === undefined ? undefined : proofOf(current, nonce)),
  };
}

function refusal(current: string | undefined, given: string | undefined): string {
  if (current === undefined) {
    return 'this agent has not registered with its server yet';
  }
  return given === undefined ? 'only the server that this agent belongs to may ask' : "that is not this agent's credential";
}

/** In a time that tells nothing of either. */
function isEqual(left: string, right: string): boolean {
  const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto');
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}
