/** How an agent gets its credential, as functions. Every failure is an ApiError. */
import type { Registration } from '../api/node.ts';
import type { NewNodeCredential, NodeChallenge } from '../api/node/node-proof.ts';
import { createTransport, type TransportOptions } from './transport.ts';

export interface JoinClient {
  challenge(node: string, signal: AbortSignal): Promise<NodeChallenge>;
  /** @throws {ApiError} Unauthorized, ApprovalNeeded, NodeDeleted */
  prove(node: string, proof: { readonly challenge: string; readonly signature: string }, signal: AbortSignal): Promise<NewNodeCredential>;
  /** @throws {ApiError} Unauthorized, NameTaken, ApprovalNeeded */
  join(node: string, options: { readonly registration: Registration; readonly joinToken: string }, signal: AbortSignal): Promise<void>;
}

/** @param options without a token, and with a fetch that adds none */
export function createJoinClient(options: Omit<TransportOptions, 'token'>): JoinClient {
  const transport = createTransport(options);
  const pathOf = (node: string, action: string): string => `/api/v1/nodes/${encodeURIComponent(node)}/${action}`;
  return {
    challenge: async (node, signal) =>
      (await transport.request({ method: 'POST', path: pathOf(node, 'challenge') }, signal)).body as NodeChallenge,
    prove: async (node, proof, signal) =>
      (await transport.request({ method: 'POST', path: pathOf(node, 'credential'), body: proof }, signal)).body as NewNodeCredential,
    join: async (node, { registration, joinToken: token }, signal) => {
      const joining = createTransport({ ...options, token });
      await joining.request({ method: 'POST', path: pathOf(node, 'register'), body: registration }, signal);
    },
  };
}
