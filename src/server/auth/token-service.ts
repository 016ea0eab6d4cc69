/**
 * Token service: makes, lists and revokes tokens. A token is shown once, in the answer to whoever had it made.
 *
 * Never    keeps or logs the secret of one.
 * Callers  http/routes/auth.ts; first-start.ts and token-command.ts.
 */
import { invalid } from '../../api/decode.ts';
import { durationToMs } from '../../api/duration.ts';
import { ApiError, hasReason, type FieldError } from '../../api/errors.ts';
import { parseSelector } from '../../api/selector.ts';
import type { NewToken, TokenObject, TokenRequest, TokenSpec } from '../../api/token.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { newMeta } from '../objects/record.ts';
import { newStored, presentToken, TOKEN_KIND, type StoredToken } from './stored-credentials.ts';
import { newCredential, TOKEN_LETTER } from './token-format.ts';

/** ms; a join token is for now, not for later. */
const JOIN_TTL_MS = 3_600_000;
const LONGEST_TTL_MS = 10 * 365 * 24 * 3_600_000;

/** ms; expired and used up ones are listed for that long. */
const KEPT_MS = 7 * 24 * 3_600_000;

export interface TokenServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface TokenService {
  /** @throws {ApiError} Invalid */
  create(request: TokenRequest): Promise<NewToken>;
  /** By id. */
  list(): Promise<readonly TokenObject[]>;
  /** It works nowhere any more, in open streams neither, within a second. @throws {ApiError} NotFound */
  revoke(id: string): Promise<TokenObject>;
}

export function createTokenService(deps: TokenServiceDeps): TokenService {
  const { store, clock, random } = deps;
  const log = deps.log.child({ component: 'token-service' });

  async function forgetOld(): Promise<void> {
    const nowMs = clock.wallMs();
    const { items } = await store.list<StoredToken>(TOKEN_KIND);
    for (const { metadata, spec } of items) {
      if (spec.expiresAt !== undefined && Date.parse(spec.expiresAt) + KEPT_MS < nowMs) {
        await remove(metadata.name).catch(ignoreGone);
      }
    }
  }

  async function remove(id: string): Promise<StoredToken> {
    const [deleted] = await store.commit([{ op: 'delete', kind: TOKEN_KIND, name: id }]);
    return deleted as StoredToken;
  }

  return {
    create: async (request) => {
      checkRequest(request);
      await forgetOld();
      const { text, id, hash } = newCredential(TOKEN_LETTER);
      const status = request.role === 'node' ? { usesLeft: request.uses ?? 1 } : {};
      const spec = toSpec(request, clock.wallMs());
      const metadata = newMeta(id, random.uuid(), nowRfc3339(clock));
      const [created] = await store.commit([
        { op: 'create', object: newStored<StoredToken>(TOKEN_KIND, metadata, { spec, status, hash } as never) },
      ]);
      log.info({ tokenId: id, role: spec.role, user: spec.user, node: spec.node, expiresAt: spec.expiresAt }, 'token created');
      return { token: text, object: presentToken(created as StoredToken) };
    },
    list: async () => (await store.list<StoredToken>(TOKEN_KIND)).items.map(presentToken),
    revoke: async (id) => {
      try {
        const token = presentToken(await remove(id));
        log.info({ tokenId: id, role: token.spec.role, user: token.spec.user }, 'token revoked');
        return token;
      } catch (error) {
        throw hasReason(error, 'NotFound') ? notFound('token', id) : error;
      }
    },
  };
}

function ignoreGone(error: unknown): void {
  if (!hasReason(error, 'NotFound')) {
    throw error;
  }
}

function toSpec({ role, user, rights = [], limit, node, ttl }: TokenRequest, nowMs: number): TokenSpec {
  const ttlMs = ttl === undefined ? (role === 'node' ? JOIN_TTL_MS : undefined) : durationToMs(ttl);
  return {
    role,
    ...(user !== undefined && { user }),
    ...(rights.length > 0 && { rights: [...new Set(rights)] }),
    ...(limit !== undefined && { limit }),
    ...(node !== undefined && { node }),
    ...(ttlMs !== undefined && { expiresAt: new Date(nowMs + ttlMs).toISOString() }),
  };
}

/** What the schema cannot say. @throws {ApiError} Invalid */
function checkRequest({ role, user, rights = [], limit, node, uses, ttl }: TokenRequest): void {
  const errors: FieldError[] = [];
  const refuse = (pointer: string, detail: string): void => void errors.push({ pointer, detail });
  if (role === 'node') {
    if (rights.length > 0 || limit !== undefined) {
      refuse(rights.length > 0 ? '/rights' : '/limit', 'is for people alone: a join token lets a machine join, and nothing else');
    }
  } else {
    if (user === undefined) {
      refuse('/user', 'is required, so that the audit can tell who it was');
    }
    if (node !== undefined || uses !== undefined) {
      refuse(node === undefined ? '/uses' : '/node', 'is for role node alone');
    }
  }
  if (role === 'admin' && limit !== undefined) {
    refuse('/limit', 'is not for role admin, who may make tokens without: give role editor, with the rights it needs');
  }
  if (limit !== undefined && limit.labelSelector === undefined && limit.namePrefix === undefined) {
    refuse('/limit', 'must have labelSelector or namePrefix');
  }
  const ttlMs = ttl === undefined ? undefined : durationToMs(ttl);
  if (ttlMs !== undefined && (ttlMs < 1000 || ttlMs > LONGEST_TTL_MS)) {
    refuse('/ttl', `must be from 1s to ten years: current value is ${JSON.stringify(ttl)}`);
  }
  try {
    parseSelector(limit?.labelSelector ?? '');
  } catch (error) {
    refuse('/limit/labelSelector', error instanceof ApiError ? error.message : String(error));
  }
  if (errors.length > 0) {
    throw invalid('token', errors);
  }
}
