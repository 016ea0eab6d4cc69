/**
 * Registry gate: keeps the whole agent from asking a registry that has asked for quiet, or that refuses us: some ban the whole site.
 *
 * Owns     one entry per thing refused, in memory: a restarted agent asks once.
 * Never    makes one user of a registry pay for another's credentials: a rate limit counts for the registry, as it is for our address;
 *          a refusal (401, 403) only for the repository with these credentials, as elsewhere there the answer may be another.
 * Callers  image-puller.ts.
 */
import { createHash } from 'node:crypto';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { RegistryAuth } from '../docker/docker-types.ts';
import { EngineError, hasEngineReason } from '../docker/engine-error.ts';
import { registryOf, repositoryOf } from './registry-auth.ts';

const REFUSED = { baseMs: 60_000, capMs: 600_000 };
const MAX_RETRY_AFTER_MS = 3_600_000; // whatever a registry says: an hour without an image is long enough to ask again
const PROBE_MS = 10_000; // how long the first who asks again goes ahead of all others

interface Entry {
  readonly backoff: Backoff;
  readonly error: EngineError;
  untilMs: number;
}

export class RegistryGate {
  readonly #clock: Clock;
  readonly #random: Random;
  /** see keysOf -> what was refused */
  readonly #entries = new Map<string, Entry>();

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** @throws {EngineError} what the registry said last, with `retryAfterMs`, while it is not to be asked */
  enter(image: string, auth: RegistryAuth | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    const entries = keysOf(image, auth).flatMap((key) => this.#entries.get(key) ?? []);
    const closed = entries.find(({ untilMs }) => untilMs > nowMs);
    if (closed !== undefined) {
      throw withRetry(image, closed.error, closed.untilMs - nowMs);
    }
    entries.forEach((entry) => (entry.untilMs = nowMs + PROBE_MS));
  }

  /** Takes in how it went. @returns the error to tell of */
  leave(image: string, auth: RegistryAuth | undefined, error: unknown): unknown {
    const [registryKey, ownKey] = keysOf(image, auth);
    if (!hasEngineReason(error, 'TooManyRequests', 'PullDenied')) {
      this.#entries.delete(registryKey);
      this.#entries.delete(ownKey);
      return error;
    }
    const key = error.reason === 'TooManyRequests' ? registryKey : ownKey;
    const backoff = this.#entries.get(key)?.backoff ?? new Backoff(REFUSED, this.#random);
    const waitMs = Math.max(backoff.nextMs(), Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
    this.#entries.set(key, { backoff, error, untilMs: this.#clock.monotonicMs() + waitMs });
    return withRetry(image, error, waitMs);
  }
}

/** The registry; and the repository with these credentials. */
function keysOf(image: string, auth: RegistryAuth | undefined): readonly [registry: string, own: string] {
  const who = auth === undefined ? '' : createHash('sha256').update(JSON.stringify(auth)).digest('hex');
  return [registryOf(image), `${repositoryOf(image)} ${who}`];
}

function withRetry(image: string, { reason, message, cause }: EngineError, retryAfterMs: number): EngineError {
  const registry = registryOf(image);
  const what =
    reason === 'TooManyRequests'
      ? `registry ${registry} limits how often it may be asked, and is left in peace for a while`
      : `registry ${registry} refuses it: look at the image's name, and name a Secret of type dockerconfigjson for ${registry} in spec.imagePullSecrets`;
  const said = message.slice(message.indexOf('": ') + 3);
  const text = `Cannot pull image "${image}" as ${what} (said: ${said})`;
  return new EngineError(reason, text, { ...(cause !== undefined && { cause }), retryAfterMs });
}
