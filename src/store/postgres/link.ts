/**
 * Link: a session that is made again when it is lost, but not by everyone at once.
 *
 * Owns     one session at a time, and when to try again: after a failure everybody is refused at once until then, so that requests do
 *          not queue up before a database that is away.
 * Callers  postgres-store.ts has two: one writes, one reads and is notified.
 */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Session } from './session.ts';

/** ms; between two tries to connect. */
const RETRY_MS = 250;

export interface LinkOptions {
  readonly clock: Clock;
  readonly open: () => Promise<Session>;
  /** run on each new session before anybody else has it; when it throws the session is given up */
  readonly onOpen?: (session: Session) => Promise<void>;
}

export class Link {
  readonly #options: LinkOptions;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #failure: { readonly error: ApiError; readonly untilMs: number } | undefined;
  #isClosed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#session?.isOpen === true;
  }

  /** The session, made anew where it was lost. @throws {ApiError} Unavailable, Invalid */
  async get(): Promise<Session> {
    if (this.#isClosed) {
      throw new ApiError('Unavailable', 'Cannot use the database as the store is closed');
    }
    if (this.#session?.isOpen === true) {
      return this.#session;
    }
    if (this.#failure !== undefined && this.#options.clock.monotonicMs() < this.#failure.untilMs) {
      throw this.#failure.error;
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  /** Ends the session; there is none after it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#session?.close();
  }

  async #open(): Promise<Session> {
    const { clock, open, onOpen } = this.#options;
    let session: Session | undefined;
    try {
      session = await open();
      await onOpen?.(session);
      this.#session = session;
      this.#failure = undefined;
      return session;
    } catch (error) {
      session?.destroy();
      if (error instanceof ApiError) {
        this.#failure = { error, untilMs: clock.monotonicMs() + RETRY_MS };
      }
      throw error;
    }
  }
}
