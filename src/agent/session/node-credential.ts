/**
 * Node credential: what this agent shows the server with each call, where the server asks for it.
 *
 * Owns     the credential, in memory alone; it lasts an hour and is renewed by proof of the node's key, before it ends or when the server
 *          does not know it any more. The key is made, and a join token looked for, only when a server first asks.
 * Never    stops anything that runs: whatever goes wrong here is a call that fails, and is tried again.
 * Callers  compose/credential.ts: `wrap` stands before the network; session/dial-tunnel.ts asks for what to `show`.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { Registration } from '../../api/node.ts';
import { proofText } from '../../api/node/node-proof.ts';
import { abortable } from '../../base/abortable.ts';
import { Backoff } from '../../base/backoff.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { JoinClient } from '../../client/join-client.ts';
import type { FetchAnswer, FetchFunction, FetchRequest } from '../../client/transport.ts';
import type { NodeKeyPair } from './node-key.ts';

const RENEW_AT = 2 / 3; // of its time
const BACKOFF = { baseMs: 1000, capMs: 15_000 };
const TIME_LIMIT_MS = 15_000; // for three short calls

export interface NodeCredentialOptions {
  readonly client: JoinClient;
  readonly nodeName: string;
  readonly loadKey: () => Promise<NodeKeyPair>;
  /** undefined: nobody gave one */
  readonly readJoinToken: () => Promise<string | undefined>;
  readonly registration: () => Registration;
  /** aborts when the agent stops */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Held {
  readonly token: string;
  /** monotonic ms */
  readonly renewAtMs: number;
}

export class NodeCredential {
  readonly #options: NodeCredentialOptions;
  readonly #backoff: Backoff;
  readonly #changed = new Wakeup();
  /** undefined: none yet, or the server knows it no more and gives no other: showing it again would count as a failed login */
  #held: Held | undefined;
  #hasHeld = false;
  #key: NodeKeyPair | undefined;
  #renewing: Promise<void> | undefined;
  /** the last failure is the answer until then, monotonic ms: a fleet must not storm a server that refuses it */
  #failed: { readonly error: unknown; readonly untilMs: number } | undefined;

  constructor(options: NodeCredentialOptions) {
    this.#options = options;
    this.#backoff = new Backoff(BACKOFF, options.random);
  }

  /** undefined: no server has asked for one yet */
  get current(): string | undefined {
    return this.#held?.token;
  }

  /** As `current`. @throws {ApiError} why there is none, where the server refuses to give one */
  show(): string | undefined {
    const error = this.#failed?.error;
    if (this.#held === undefined && isRefusal(error)) {
      throw error;
    }
    return this.current;
  }

  /** Adds the credential to each request, and gets one, once, where the server asks for it. */
  wrap(fetch: FetchFunction): FetchFunction {
    return async (url, request) => {
      const shown = this.current;
      const answer = await fetch(url, withToken(request, shown));
      if (answer.status !== 401 || typeof request.body === 'object') {
        return answer; // chunks cannot be sent twice
      }
      await drain(answer);
      if (shown === this.current) {
        await this.renew(request.signal).catch((error: unknown) => {
          this.#held = isRefusal(error) && shown === this.current ? undefined : this.#held;
          throw error;
        });
      }
      return await fetch(url, withToken(request, this.current));
    };
  }

  /** Gets another one; many calls at once are one. @throws {ApiError} */
  async renew(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (this.#failed !== undefined && clock.monotonicMs() < this.#failed.untilMs) {
      throw this.#failed.error;
    }
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    await abortable(this.#renewing, signal);
  }

  /** Renews it in time, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      const dueMs = Math.max(this.#held?.renewAtMs ?? Infinity, this.#failed?.untilMs ?? 0);
      await this.#changed.wait(clock, Math.max(0, dueMs - clock.monotonicMs()), signal);
      if (this.#held !== undefined && clock.monotonicMs() >= this.#held.renewAtMs) {
        await this.renew(signal).catch((error: unknown) => {
          signal.throwIfAborted();
          if (!(error instanceof ApiError)) {
            throw error;
          }
        });
      }
    }
  }

  async #renew(): Promise<void> {
    const { clock, signal, nodeName, log } = this.#options;
    using deadline = withDeadline(clock, TIME_LIMIT_MS, signal);
    const askedAtMs = clock.monotonicMs();
    try {
      const { token, lastsMs } = await this.#obtain(deadline.signal);
      this.#held = { token, renewAtMs: askedAtMs + lastsMs * RENEW_AT };
      this.#hasHeld = true;
      this.#failed = undefined;
      this.#backoff.reset();
      log.debug({ node: nodeName, lastsMs }, 'credential renewed');
    } catch (error) {
      const waitMs = (error instanceof ApiError ? error.retryAfterMs : undefined) ?? this.#backoff.nextMs();
      // why it was refused is what can be mended; that it is asked too often says nothing
      const before = this.#failed?.error;
      const cause = hasReason(error, 'TooManyRequests') && isRefusal(before) ? before : error;
      this.#failed = { error: cause, untilMs: clock.monotonicMs() + waitMs };
      throw cause;
    } finally {
      this.#changed.notify();
    }
  }

  async #obtain(signal: AbortSignal): Promise<{ readonly token: string; readonly lastsMs: number }> {
    const { client, nodeName, readJoinToken, registration, log } = this.#options;
    const { publicKey } = (this.#key ??= await this.#options.loadKey());
    try {
      return await this.#prove(signal);
    } catch (error) {
      // a node that was deleted while its agent ran joins again at its next start, and not by itself
      const mayJoin = hasReason(error, 'Unauthorized') || (hasReason(error, 'NodeDeleted') && !this.#hasHeld);
      const joinToken = mayJoin ? await readJoinToken() : undefined;
      if (joinToken === undefined) {
        throw error;
      }
      await client.join(nodeName, { registration: { ...registration(), publicKey }, joinToken }, signal);
      log.info({ node: nodeName }, 'joined with a join token');
      return await this.#prove(signal);
    }
  }

  async #prove(signal: AbortSignal): Promise<{ readonly token: string; readonly lastsMs: number }> {
    const { client, nodeName: node } = this.#options;
    const { challenge, clusterId } = await client.challenge(node, signal);
    const signature = this.#key?.sign(proofText({ clusterId, node, challenge })) ?? '';
    return await client.prove(node, { challenge, signature }, signal);
  }
}

/** Only a person can mend it: another try is not to be expected to come to anything else. */
function isRefusal(error: unknown): boolean {
  return hasReason(error, 'Unauthorized') || hasReason(error, 'ApprovalNeeded') || hasReason(error, 'NodeDeleted');
}

function withToken(request: FetchRequest, token: string | undefined): FetchRequest {
  return token === undefined ? request : { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}

async function drain(answer: FetchAnswer): Promise<void> {
  await answer.text().catch(() => ''); // its words are not needed: the next answer has its own
}
