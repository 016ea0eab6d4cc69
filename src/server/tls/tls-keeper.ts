/**
 * TLS keeper: what the server shows of itself, kept fresh while it runs.
 *
 * Owns     the material in use, and the listeners that show it.
 * Never    gives up what works for what does not: a given file that is broken, or a full disk, leaves the last good certificate in use, and
 *          readyz says so.
 * Callers  start-tls.ts makes it and runs its loop; sockets.ts makes listeners with it.
 */
import type { Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { TlsMaterial } from './material.ts';

/** ms; how soon a file that was replaced is in use, and a name or address that is new. */
const LOOK_MS = 1_000;
const WARN_BEFORE_MS = 14 * 86_400_000;

export interface TlsKeeperOptions {
  /** gets what should be in use now @throws {Error} for people */
  readonly prepare: () => Promise<TlsMaterial>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class TlsKeeper {
  readonly #options: TlsKeeperOptions;
  readonly #log: Logger;
  readonly #servers = new Set<Server>();
  #material: TlsMaterial;
  #problem: string | undefined;

  constructor(options: TlsKeeperOptions, first: TlsMaterial) {
    this.#options = options;
    this.#log = options.log.child({ component: 'tls' });
    this.#material = first;
    this.#tell('serving TLS');
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** What is wrong though the server serves, in sentences. */
  warnings(): readonly string[] {
    const leftMs = this.#material.expiresAtMs - this.#options.clock.wallMs();
    const ends = new Date(this.#material.expiresAtMs).toISOString();
    const ending = leftMs < WARN_BEFORE_MS ? [`The server's certificate ${leftMs < 0 ? 'expired' : 'expires'} at ${ends}: renew it`] : [];
    return [...(this.#problem === undefined ? [] : [this.#problem]), ...(this.#material.warnings ?? []), ...ending];
  }

  /** For `https.createServer`. */
  contextOptions(): SecureContextOptions {
    return { key: this.#material.key, cert: this.#material.chain, minVersion: 'TLSv1.2' };
  }

  /** From now on `server` shows what is in use, until it closes. */
  attach(server: Server): void {
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
  }

  /** Takes what should be in use into use. */
  async look(): Promise<void> {
    let next: TlsMaterial;
    try {
      next = await this.#options.prepare();
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      this.#log.info('certificate can be used again');
    }
    const last = this.#material;
    this.#material = next;
    if (next.chain === last.chain && next.key === last.key) {
      this.#warn(last.warnings);
      return;
    }
    this.#servers.forEach((server) => server.setSecureContext(this.contextOptions())); // connections that are open stay
    this.#tell('certificate replaced');
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(LOOK_MS, signal);
      await this.look();
    }
  }

  #fail(detail: string): void {
    if (this.#problem !== detail) {
      this.#problem = detail;
      this.#log.warn({ detail }, 'new certificate cannot be used, the last one stays');
    }
  }

  #tell(event: string): void {
    const { fingerprint, names, expiresAtMs } = this.#material;
    this.#log.info({ names, expiresAt: new Date(expiresAtMs).toISOString(), authority: fingerprint }, event);
    this.#warn([]);
  }

  /** @param told those of which it was told before */
  #warn(told: readonly string[] = []): void {
    for (const detail of this.#material.warnings ?? []) {
      if (!told.includes(detail)) {
        this.#log.warn({ detail }, 'certificate should not be kept as it is');
      }
    }
  }
}
