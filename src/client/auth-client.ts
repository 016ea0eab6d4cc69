/** Who one is, tokens, machines that join, and the audit, as functions; for caractrl. Every failure is an ApiError. */
import type { AuditEntry, AuditQuery } from '../api/audit.ts';
import type { CanIAnswer, NewToken, NodeKeyView, TokenObject, TokenRequest, WhoAmI } from '../api/token.ts';
import type { ApiRequest, Transport } from './transport.ts';

export interface AuthClient {
  whoAmI(signal: AbortSignal): Promise<WhoAmI>;
  canI(query: { readonly verb: string; readonly resource: string; readonly name?: string }, signal: AbortSignal): Promise<CanIAnswer>;
  createToken(request: TokenRequest, signal: AbortSignal): Promise<NewToken>;
  listTokens(signal: AbortSignal): Promise<readonly TokenObject[]>;
  /** @throws {ApiError} NotFound */
  revokeToken(id: string, signal: AbortSignal): Promise<TokenObject>;
  /** Machines that have joined. */
  listNodeKeys(signal: AbortSignal): Promise<readonly NodeKeyView[]>;
  /** @throws {ApiError} NotFound */
  approveNode(node: string, signal: AbortSignal): Promise<NodeKeyView>;
  /** @throws {ApiError} NotFound */
  removeNodeKey(node: string, signal: AbortSignal): Promise<NodeKeyView>;
  listAudit(query: AuditQuery, signal: AbortSignal): Promise<readonly AuditEntry[]>;
}

const API = '/api/v1';

export function createAuthClient(transport: Transport): AuthClient {
  const send = async (request: ApiRequest, signal: AbortSignal): Promise<unknown> => (await transport.request(request, signal)).body;
  const get = (path: string, signal: AbortSignal): Promise<unknown> => send({ method: 'GET', path: `${API}/${path}` }, signal);
  const items = async <Item>(path: string, signal: AbortSignal): Promise<readonly Item[]> =>
    ((await get(path, signal)) as { readonly items: readonly Item[] }).items;
  const at = (path: string, name: string): string => `${API}/${path}/${encodeURIComponent(name)}`;
  return {
    whoAmI: async (signal) => (await get('auth/whoami', signal)) as WhoAmI,
    canI: async (query, signal) => (await get(`auth/can-i?${new URLSearchParams(query).toString()}`, signal)) as CanIAnswer,
    createToken: async (body, signal) => (await send({ method: 'POST', path: `${API}/tokens`, body }, signal)) as NewToken,
    listTokens: (signal) => items('tokens', signal),
    revokeToken: async (id, signal) => (await send({ method: 'DELETE', path: at('tokens', id) }, signal)) as TokenObject,
    listNodeKeys: (signal) => items('node-keys', signal),
    approveNode: async (node, signal) => (await send({ method: 'POST', path: `${at('nodes', node)}/approve` }, signal)) as NodeKeyView,
    removeNodeKey: async (node, signal) => (await send({ method: 'DELETE', path: at('node-keys', node) }, signal)) as NodeKeyView,
    listAudit: ({ since, who, object, limit }, signal) => {
      const query = new URLSearchParams({
        ...(since !== undefined && { since }),
        ...(who !== undefined && { who }),
        ...(object !== undefined && { object }),
        ...(limit !== undefined && { limit: String(limit) }),
      });
      return items(`audit?${query.toString()}`, signal);
    },
  };
}
