/**
 * Credentials: who a bearer token is.
 *
 * Owns     id -> what is kept of it, from the mirrors of Tokens and NodeCredentials; in memory. Whoever keeps a stream open by one is
 *          told when it is gone.
 * Never    keeps or logs a secret. A heartbeat costs one small hash.
 * Callers  http/guard.ts; watch-response.ts through `hold`.
 */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { toLimit, type Caller } from './caller.ts';
import { NODE_CREDENTIAL_KIND, TOKEN_KIND, type NodeCredential, type StoredToken } from './stored-credentials.ts';
import { isSecretOf, parseCredential, TOKEN_LETTER, type Credential } from './token-format.ts';

/** Streams that are open by one credential: watches, logs, forwarded connections. A person with a browser behind a forwarded port has some dozens. */
const MAX_STREAMS = 512;

export interface Known {
  readonly caller: Caller;
  readonly hash: Buffer;
  readonly expiresAtMs: number;
}

export type Recognition =
  | { readonly kind: 'known'; readonly caller: Caller }
  /** `id` undefined: it does not even look like one */
  | { readonly kind: 'unknown'; readonly id: string | undefined }
  | { readonly kind: 'expired'; readonly id: string; readonly expiredAt: string };

export interface CredentialsDeps {
  readonly store: Store;
  readonly clock: Clock;
  /** not yet running */
  readonly tokens: Mirror<StoredToken>;
  readonly nodeCredentials: Mirror<NodeCredential>;
}

export class Credentials implements Disposable {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  // id of a credential, or "node NAME" -> those who have a stream open by it
  readonly #holders = new Map<string, Set<() => void>>();
  // node -> ids of its credentials
  readonly #idsByNode = new Map<string, Set<string>>();
  readonly #unsubscribe: readonly (() => void)[];

  constructor({ store, clock, tokens, nodeCredentials }: CredentialsDeps) {
    this.#store = store;
    this.#clock = clock;
    this.#unsubscribe = [
      tokens.onChange(({ type, object }) => this.#take(object.metadata.name, type === 'DELETED' ? undefined : toKnown(object))),
      nodeCredentials.onChange(({ type, object }) => this.#take(object.metadata.name, type === 'DELETED' ? undefined : toKnown(object))),
    ];
  }

  /** By what this server knows already; "unknown" may be another server's news. */
  recognise(text: string): Recognition {
    const credential = parseCredential(text);
    return credential === undefined ? { kind: 'unknown', id: undefined } : this.#check(credential, this.#known.get(credential.id));
  }

  /** By what is stored. */
  async lookUp(text: string): Promise<Recognition> {
    const credential = parseCredential(text);
    if (credential === undefined) {
      return { kind: 'unknown', id: undefined };
    }
    const kind = credential.id.startsWith(TOKEN_LETTER) ? TOKEN_KIND : NODE_CREDENTIAL_KIND;
    await this.#store.refresh(); // another server may have made it just now
    await this.#store.refresh(); // another server may have made it just now
    const stored = await this.#store.get<StoredToken | NodeCredential>(kind, credential.id);
    return this.#check(credential, stored === undefined ? undefined : toKnown(stored));
  }

  /** Calls `end` once when the credential is revoked or runs out. @returns what gives it up @throws {ApiError} TooManyRequests */
  hold(caller: Caller, end: () => void): () => void {
    return 'shown' in caller ? this.#hold(caller.shown.id, caller.shown.expiresAtMs, end) : () => undefined;
  }

  /** As `hold`, for what a node keeps open for longer than any of its credentials lasts: until it has none any more. */
  holdNode(caller: Caller, end: () => void): () => void {
    return caller.kind === 'Node' ? this.#hold(holdingOf(caller.node), Infinity, end) : () => undefined;
  }

  #hold(id: string, expiresAtMs: number, end: () => void): () => void {
    const holders = this.#holders.get(id) ?? new Set();
    if (holders.size >= MAX_STREAMS) {
      throw new ApiError('TooManyRequests', `Cannot open another stream as ${MAX_STREAMS} are open by the same token: end some of them`, {
        retryAfterMs: 5000,
      });
    }
    const timer = new AbortController();
    const release = (): void => {
      timer.abort();
      holders.delete(told);
      if (holders.size === 0 && this.#holders.get(id) === holders) {
        this.#holders.delete(id);
      }
    };
    const told = (): void => {
      release();
      end();
    };
    holders.add(told);
    this.#holders.set(id, holders);
    if (Number.isFinite(expiresAtMs)) {
      void this.#waitUntil(expiresAtMs, timer.signal).then(told, () => undefined); // rejects only when it was given up
    }
    return release;
  }

  /** How many streams are open by credentials. */
  get held(): number {
    return this.#holders.values().reduce((sum, holders) => sum + holders.size, 0);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe.forEach((unsubscribe) => unsubscribe());
  }

  async #waitUntil(atMs: number, signal: AbortSignal): Promise<void> {
    for (let leftMs = atMs - this.#clock.wallMs(); leftMs > 0; leftMs = atMs - this.#clock.wallMs()) {
      await this.#clock.sleep(leftMs, signal);
    }
  }

  #check({ id, secret }: Credential, known: Known | undefined): Recognition {
    if (!isSecretOf(secret, known?.hash) || known === undefined) {
      return { kind: 'unknown', id };
    }
    if (known.expiresAtMs <= this.#clock.wallMs()) {
      return { kind: 'expired', id, expiredAt: new Date(known.expiresAtMs).toISOString() };
    }
    return { kind: 'known', caller: known.caller };
  }

  #take(id: string, known: Known | undefined): void {
    const node = nodeOf(known ?? this.#known.get(id));
    const ids = this.#idsByNode.get(node ?? '') ?? new Set();
    if (known === undefined) {
      this.#known.delete(id);
      ids.delete(id);
      this.#tell(id);
    } else {
      this.#known.set(id, known);
      ids.add(id);
    }
    if (node !== undefined && ids.size > 0) {
      this.#idsByNode.set(node, ids);
    } else if (node !== undefined) {
      this.#idsByNode.delete(node);
      this.#tell(holdingOf(node));
    }
  }

  #tell(holding: string): void {
    this.#holders.get(holding)?.forEach((told) => told());
  }
}

function nodeOf(known: Known | undefined): string | undefined {
  return known?.caller.kind === 'Node' ? known.caller.node : undefined;
}

function holdingOf(node: string): string {
  return `node ${node}`;
}

function toKnown(stored: StoredToken | NodeCredential): Known {
  const id = stored.metadata.name;
  const expiresAt = stored.kind === 'Token' ? stored.spec.expiresAt : stored.expiresAt;
  const shown = { id, expiresAtMs: expiresAt === undefined ? Infinity : Date.parse(expiresAt) };
  return { caller: toCaller(stored, shown), hash: Buffer.from(stored.hash, 'hex'), expiresAtMs: shown.expiresAtMs };
}

function toCaller(stored: StoredToken | NodeCredential, shown: { readonly id: string; readonly expiresAtMs: number }): Caller {
  if (stored.kind !== 'Token') {
    return { kind: 'Node', node: stored.node, shown };
  }
  const { role, user = 'unknown', rights = [], limit, node } = stored.spec;
  return role === 'node' ? { kind: 'Joining', node, shown } : { kind: 'Person', user, role, rights, limit: limit && toLimit(limit), shown };
}
