/** What a machine that shows a join token comes to. Pure. Callers: node-keys.ts. */
import { ApiError } from '../../api/errors.ts';
import type { NodeKey, StoredToken } from './stored-credentials.ts';

/** A machine that wants to join, with the id of the join token that it has shown. */
export interface JoiningMachine {
  readonly tokenId: string;
  /** Ed25519, 32 bytes, base64url; undefined: its agent said none */
  readonly publicKey: string;
  readonly hostname?: string | undefined;
  readonly address?: string | undefined;
}

export interface JoinFacts {
  readonly node: string;
  readonly key: NodeKey | undefined;
  /** undefined: revoked meanwhile */
  readonly token: StoredToken | undefined;
  readonly machine: JoiningMachine;
  /** wall */
  readonly nowMs: number;
}

/**
 * - The key that holds the name already: it has joined, as where the answer to a first attempt was lost. That uses nothing up.
 * - Another key holds it: a token for any name does not take it away; one that an admin made for this very name does, as does one after
 *   `caractrl node reset-identity`. A deleted node's name is free.
 * - A machine that was rejected does not get in again by the token that it joined with, however often that is good.
 * @returns the token with one use less
 * @throws {ApiError} Unauthorized, NameTaken
 */
export function planJoin({ node, key, token, machine, nowMs }: JoinFacts): 'joined' | { readonly token: StoredToken } {
  const isHeld = key !== undefined && key.state !== 'Revoked' && key.state !== 'Rejected';
  if (isHeld && key.publicKey === machine.publicKey && key.isReleased !== true) {
    return 'joined';
  }
  if (key?.state === 'Rejected' && key.publicKey === machine.publicKey && key.tokenId === machine.tokenId) {
    throw refusal(node, 'it was rejected, and shows the join token that it joined with');
  }
  const { expiresAt } = token?.spec ?? {};
  if (token === undefined || (expiresAt !== undefined && Date.parse(expiresAt) <= nowMs)) {
    throw refusal(node, 'the join token was revoked or has expired');
  }
  if ((token.status.usesLeft ?? 0) < 1) {
    throw refusal(node, 'the join token was used up');
  }
  if (isHeld && key.publicKey !== machine.publicKey && key.isReleased !== true && token.spec.node !== node) {
    throw new ApiError(
      'NameTaken',
      `Cannot let this machine join as node ${JSON.stringify(node)} as that has joined with another key: if this is the same machine reinstalled, ` +
        `run "caractrl token create --role node --node ${node}" and start its agent with the JOIN_TOKEN that it prints; else set another NODE_NAME here`,
    );
  }
  return { token: { ...token, status: { usesLeft: (token.status.usesLeft ?? 0) - 1 } } };
}

function refusal(node: string, why: string): ApiError {
  return new ApiError(
    'Unauthorized',
    `Cannot let this machine join as node ${JSON.stringify(node)} as ${why}: run "caractrl token create --role node --node ${node}" for another`,
  );
}
