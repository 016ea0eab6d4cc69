/**
 * The database that several servers share: one ordered log of changes, one lock, and the lines to it. It behaves as PostgreSQL does for
 * src/store/postgres and src/server/cluster: a commit is judged on the newest state, a session that is silent for too long is ended and
 * lets the lock go, and a line that is cut holds what is sent on it until it is mended or nobody waits any more.
 *
 * Owns     what is so; which session holds the lock; the servers that said that they are there.
 * Never    loses anything: what a crash leaves of a database is tested elsewhere.
 */
import { ApiError } from '../../../src/api/errors.ts';
import { VERSION } from '../../../src/base/version.ts';
import { SESSION_LIMIT_MS, type ClusterSession, type SeenServer } from '../../../src/server/cluster/cluster-session.ts';
import { ChangeLog, DEFAULT_LOG_SIZE } from '../../../src/store/change-log.ts';
import { createDocumentStore } from '../../../src/store/document-store.ts';
import { Documents } from '../../../src/store/documents.ts';
import type { Change, Store, StoredObject, Write } from '../../../src/store/store.ts';
import type { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';

const ANSWER_TIMEOUT_MS = 6000; // as src/store/postgres/session.ts
const LOOK_MS = 200; // at a line that is cut

/** One server's line to the database. */
export interface DatabaseLine {
  readonly server: string;
  readonly random: SeededRandom;
  isCut: boolean;
  maxDelayMs: number;
}

/** Who leads, as the record of it says. */
export interface Leadership {
  readonly server: string;
  /** when it was written down, and under which version */
  readonly atMs: number;
  readonly version: number;
}

interface Session {
  readonly server: string;
  heardAtMs: number;
  isEnded: boolean;
}

export class SimDatabase {
  /** what is so; for those who follow it from outside */
  readonly store: Store;
  /** in order */
  readonly log: Change[] = [];
  readonly #clock: SimClock;
  readonly #news = new Set<() => void>();
  readonly #present = new Map<string, SeenServer>();
  #holder: Session | undefined;
  #writer = '';
  /** in order */
  readonly leaderships: Leadership[] = [];
  /** told of each change with the server that wrote it, before anyone sees it */
  onWrite: ((change: Change, server: string) => void) | undefined;

  constructor(clock: SimClock) {
    this.#clock = clock;
    this.store = createDocumentStore({
      documents: new Documents(),
      changeLog: new ChangeLog({ clock, logSize: DEFAULT_LOG_SIZE }),
      journal: {
        write: (changes) => this.#note(changes),
        size: () => 0,
        ping: () => undefined,
        probe: () => undefined,
        close: () => undefined,
      },
      defer: (flush) => flush(),
      log: undefined,
    });
  }

  get leadership(): Leadership | undefined {
    return this.leaderships.at(-1);
  }

  /** The one under which this was written. */
  leadershipAt(version: number): Leadership | undefined {
    return this.leaderships.findLast((leadership) => leadership.version < version);
  }

  /** The server whose session holds the lock. */
  get lockHolder(): string | undefined {
    return this.#findHolder()?.server;
  }

  /** What came of the writes, as of the newest state. */
  async commit(writes: readonly Write[], server: string): Promise<readonly (StoredObject | undefined)[]> {
    this.#writer = server; // the commit is done in this very turn
    return await this.store.commit(writes);
  }

  /** Calls `listener` after each commit. @returns how to forget it */
  onNews(listener: () => void): () => void {
    this.#news.add(listener);
    return () => this.#news.delete(listener);
  }

  /** Resolves when what is sent has arrived. @throws when the line is cut for so long that nobody waits any more */
  async travel(line: DatabaseLine, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(line.random.next() * line.maxDelayMs, signal);
    for (let waitedMs = 0; line.isCut; waitedMs += LOOK_MS) {
      if (waitedMs >= ANSWER_TIMEOUT_MS) {
        throw new ApiError('Unavailable', 'Cannot reach the database as the line is cut', { retryAfterMs: 1000 });
      }
      await this.#clock.sleep(LOOK_MS, signal);
    }
  }

  async openSession(line: DatabaseLine, life: Life): Promise<ClusterSession> {
    await this.travel(line, life.signal);
    const session: Session = { server: line.server, heardAtMs: this.#clock.monotonicMs(), isEnded: false };
    const end = (): void => void (session.isEnded ||= !line.isCut); // else nobody hears of it before the limit
    life.onEnd(end);
    let isOpen = true;
    const ask = async <Result>(act: () => Result): Promise<Result> => {
      try {
        if (!isOpen) {
          throw new ApiError('Unavailable', 'Cannot use the session as it is closed');
        }
        await this.travel(line, life.signal);
        if (this.#isEnded(session)) {
          throw new ApiError('Unavailable', 'Cannot use the session as the database has ended it');
        }
        session.heardAtMs = this.#clock.monotonicMs();
        const result = act();
        await this.travel(line, life.signal);
        return result;
      } catch (error) {
        isOpen = false;
        end();
        throw error;
      }
    };
    const close = (): void => {
      isOpen = false;
      end();
    };
    return {
      get isOpen() {
        return isOpen;
      },
      tryLock: async () => await ask(() => (this.#holder = this.#findHolder() ?? session) === session),
      say: async () => await ask(() => undefined),
      sayHere: async (server) =>
        await ask(() => {
          const at = new Date(this.#clock.wallMs());
          const startedAt = this.#present.get(server.id)?.startedAt ?? at;
          this.#present.set(server.id, { ...server, version: VERSION, startedAt, seenAt: at, isAlive: true });
        }),
      sayGone: async ({ id }) => await ask(() => void this.#present.delete(id)),
      listServers: async () => await ask(() => [...this.#present.values()]),
      close: async () => await Promise.resolve(close()),
      destroy: close,
    };
  }

  #findHolder(): Session | undefined {
    return this.#holder !== undefined && !this.#isEnded(this.#holder) ? this.#holder : undefined;
  }

  #isEnded(session: Session): boolean {
    session.isEnded ||= this.#clock.monotonicMs() - session.heardAtMs > SESSION_LIMIT_MS;
    return session.isEnded;
  }

  #note(changes: readonly Change[]): void {
    for (const change of changes) {
      this.log.push(change);
      if (change.object.kind === 'Leader') {
        this.leaderships.push({ server: this.#writer, atMs: this.#clock.monotonicMs(), version: change.version });
      }
      this.onWrite?.(change, this.#writer);
    }
    this.#news.forEach((listener) => listener());
  }
}
