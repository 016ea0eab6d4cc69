/**
 * Membership: this server's seat among those on one database: that it is there, and whether it leads.
 *
 * Owns     one session; with it the advisory lock whose holder leads, and this server's row in `servers`. PostgreSQL lets the lock go as
 *          soon as the session ends: with the process (kill -9), or after a while without a word (paused, cut off). A leadership ends with
 *          the session that got it: another one that is well proves nothing.
 * Never    takes a leadership for sure for longer than SURE_MS after it last asked with success. A later leader counts with that: what
 *          its predecessor may have granted ends that much later (fence-ledger.ts).
 * Callers  start-cluster.ts spawns `run`.
 */
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { explainPostgres, unavailable } from '../../store/postgres/postgres-errors.ts';
import { PRESENCE_MS, type ClusterSession, type SeenServer } from './cluster-session.ts';
import type { ServerIdentity } from './leader-record.ts';

/** ms; between two words to the database: how soon a lock that is free is taken, too. */
const TICK_MS = 400;
/** ms; how long after it asked a leader may go on as one. */
export const SURE_MS = 2_500;
/** A leadership, for as long as it lasts. */
export interface Office {
  /** Whether it is certain at this moment that nobody else leads. */
  readonly isSure: () => boolean;
  /** aborts when it is lost, or the server stops */
  readonly signal: AbortSignal;
  /** Gives it up. */
  readonly resign: () => void;
}

export interface MembershipOptions {
  readonly identity: ServerIdentity;
  readonly open: () => Promise<ClusterSession>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** leads until the signal of the office aborts; the lock is let go only when this has resolved, or the database took it */
  readonly lead: (office: Office) => Promise<void>;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #log: Logger;
  #session: ClusterSession | undefined;
  #saidHereAtMs = -Infinity;
  /** of when it last asked with success: monotonic, and wall, as the machine may have been suspended since */
  #askedAt = { monotonicMs: -Infinity, wallMs: -Infinity };
  #opening: Promise<ClusterSession> | undefined;
  #office: { readonly session: ClusterSession; readonly controller: AbortController; readonly done: Promise<void> } | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: 'cluster' });
  }

  /** Takes part until the signal aborts; then gives up what it holds, in order. Call once. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const backoff = new Backoff({ baseMs: TICK_MS, capMs: 2_000 }, random);
    try {
      while (!signal.aborted) {
        try {
          await this.#tick();
          if (backoff.failures > 0) {
            this.#log.info({ failures: backoff.failures }, 'takes part in the cluster again');
            backoff.reset();
          }
          await clock.sleep(TICK_MS, signal);
        } catch (error) {
          signal.throwIfAborted();
          await this.#lose('connection lost');
          if (backoff.failures === 0) {
            this.#log.warn({ detail: explainPostgres('take part in the cluster', error).message }, 'cannot take part in the cluster');
          }
          await clock.sleep(backoff.nextMs(), signal);
        }
      }
    } finally {
      await this.#leave();
    }
  }

  /** All servers that the database knows. @throws {ApiError} Unavailable */
  async list(): Promise<readonly SeenServer[]> {
    try {
      return await (await this.#connect()).listServers();
    } catch (error) {
      throw unavailable('list servers', error);
    }
  }

  /** The session, if it is open, or another. */
  async #connect(): Promise<ClusterSession> {
    if (this.#session?.isOpen === true) {
      return this.#session;
    }
    this.#opening ??= this.#options.open().finally(() => (this.#opening = undefined));
    this.#session = await this.#opening;
    return this.#session;
  }

  async #tick(): Promise<void> {
    const { clock, identity } = this.#options;
    const session = this.#office?.session ?? (await this.#connect());
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    if (this.#office === undefined) {
      if (await session.tryLock()) {
        this.#askedAt = now;
        this.#take(session);
      }
    } else {
      await session.say(); // it lives, so the lock is ours
      this.#askedAt = now;
    }
    if (now.monotonicMs - this.#saidHereAtMs >= PRESENCE_MS) {
      await session.sayHere(identity);
      this.#saidHereAtMs = now.monotonicMs;
    }
  }

  /** @param session what holds the lock */
  #take(session: ClusterSession): void {
    const controller = new AbortController();
    const office: Office = {
      isSure: () => !controller.signal.aborted && this.#isSure(),
      signal: controller.signal,
      resign: () => session.destroy(), // noticed by the next tick
    };
    this.#office = { session, controller, done: this.#options.lead(office) };
  }

  #isSure(): boolean {
    const { clock } = this.#options;
    return clock.monotonicMs() < this.#askedAt.monotonicMs + SURE_MS && clock.wallMs() < this.#askedAt.wallMs + SURE_MS;
  }

  /** Ends a leadership whose lock is gone. */
  async #lose(reason: string): Promise<void> {
    this.#session?.destroy();
    this.#session = undefined;
    if (this.#office !== undefined) {
      this.#log.warn({ reason }, 'leadership lost');
      this.#office.controller.abort();
      await this.#office.done;
      this.#office = undefined;
    }
  }

  /** At the stop: first everything that leads, then the lock, so that the next leader finds all of it written. */
  async #leave(): Promise<void> {
    if (this.#office !== undefined) {
      this.#office.controller.abort();
      await this.#office.done;
    }
    if (this.#session?.isOpen === true) {
      await this.#session.sayGone(this.#options.identity).catch(() => undefined);
    }
    await this.#session?.close();
  }
}
