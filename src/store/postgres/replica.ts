/**
 * Replica: this server's copy of the documents, kept in step with the database.
 *
 * Owns     the session that reads and is notified; which commit the newest change in memory belongs to.
 * Never    shows a part of a commit, or one twice. Never steps back: where the database itself has lost commits (a fail-over to a standby
 *          that was behind), its versions are moved on past all that were given out, and every watcher lists again.
 * Callers  postgres-store.ts, group-writer.ts.
 */
import type { Logger } from '../../base/log.ts';
import type { ChangeLog } from '../change-log.ts';
import type { Documents } from '../documents.ts';
import type { Change } from '../store.ts';
import { Link, type LinkOptions } from './link.ts';
import { readSnapshot, toChange, toHead, toHistory, toSince, type Head, type Since } from './rows.ts';
import type { Session } from './session.ts';
import { CHANNEL, FIND_COMMIT, readSince, SKIP_VERSIONS } from './statements.ts';

/** More than what servers that do not know of it yet can have given out. */
const VERSIONS_SKIPPED = 1_000;

export interface ReplicaOptions {
  /** empty */
  readonly documents: Documents;
  /** empty */
  readonly changeLog: ChangeLog;
  readonly link: LinkOptions;
  readonly label: string;
  /** with which the ids of our own commits begin */
  readonly instance: string;
  readonly log: Logger;
  /** called when there is something to take in; must not throw */
  readonly onNews: () => void;
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #link: Link;
  readonly #commitListeners = new Set<(commitId: string) => void>();
  /** commit of the newest change in memory; undefined before the first load */
  #commitId: string | undefined;
  #hasLostCommits = false;
  #looking: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#link = new Link({ ...options.link, onOpen: (session) => this.#greet(session) });
  }

  /** What memory shows. */
  get head(): Head {
    return { version: this.#options.documents.version, commitId: this.#commitId ?? '' };
  }

  /** Resolves when memory shows all that was committed before the call. Those who call while one look goes on share the next. */
  refresh(): Promise<void> {
    this.#nextLook ??= (async () => {
      await this.#looking?.catch(() => undefined);
      this.#looking = this.#nextLook;
      this.#nextLook = undefined;
      await this.#look();
    })();
    return this.#nextLook;
  }

  /** Takes in changes that are durable. @returns false: some between memory and these are not known */
  absorb({ head, changes }: Since): boolean {
    const { documents, changeLog } = this.#options;
    const taken: Change[] = [];
    for (const logged of changes) {
      if (logged.version > documents.version) {
        if (logged.version !== documents.version + 1) {
          break;
        }
        const change = toChange(logged, documents.get(logged.kind, logged.name));
        documents.apply(change);
        taken.push(change);
        this.#noteCommit(logged.commitId);
      }
    }
    changeLog.append(taken);
    return documents.version >= head.version;
  }

  /** Takes in what this server has just written. */
  publish(changes: readonly Change[], commitId: string): void {
    const { documents, changeLog } = this.#options;
    const fresh = changes.filter(({ version }) => version > documents.version); // it may have come through `changes` already
    fresh.forEach((change) => documents.apply(change));
    changeLog.append(fresh);
    if (fresh.length > 0) {
      this.#noteCommit(commitId);
    }
  }

  /** Tells `listener` of each commit that is taken in. @returns what ends it */
  onCommit(listener: (commitId: string) => void): Disposable {
    this.#commitListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#commitListeners.delete(listener) };
  }

  async close(): Promise<void> {
    await this.#link.close();
    await Promise.allSettled([this.#looking, this.#nextLook]);
  }

  #noteCommit(commitId: string): void {
    this.#commitId = commitId;
    this.#commitListeners.forEach((listener) => listener(commitId));
  }

  /** Makes a new session ready: it is notified, and the database is the one that memory comes from. */
  async #greet(session: Session): Promise<void> {
    const { instance, onNews } = this.#options;
    session.onNotification((commitId) => (commitId.startsWith(instance) ? undefined : onNews()));
    await session.query(`LISTEN ${CHANNEL}`);
    void session.ended.then(onNews); // what is lost is made anew by the next look
    const { version, commitId } = this.head;
    const [row] = await session.query(FIND_COMMIT, [version]);
    const found = toHead(row);
    const own = found.version === version ? found.commitId : row?.[2];
    this.#hasLostCommits ||= this.#commitId !== undefined && (found.version < version || (typeof own === 'string' && own !== commitId));
  }

  async #look(): Promise<void> {
    const session = await this.#link.get();
    if (this.#commitId === undefined) {
      await this.#load(session);
      return;
    }
    const before = this.head;
    const since = toSince(await session.query(readSince(before.version)));
    const isAnother = since.head.version === before.version && since.head.commitId !== before.commitId;
    this.#hasLostCommits ||= since.head.version < before.version || isAnother;
    if (this.#hasLostCommits) {
      await this.#moveOn(session, since.head);
    } else if (this.absorb(since)) {
      return;
    }
    this.#options.log.warn({ resourceVersion: before.version, newest: since.head.version }, 'changes are missing, reading all anew');
    await this.#load(session);
  }

  /** The database has forgotten what it acknowledged: nobody may take its new versions for those. */
  async #moveOn(session: Session, found: Head): Promise<void> {
    const { instance, log, label } = this.#options;
    const { version } = this.head;
    log.error({ database: label, resourceVersion: version, found: found.version }, 'database has lost commits that it had acknowledged');
    await session.query(SKIP_VERSIONS, [version + VERSIONS_SKIPPED, `${instance}/lost-${version}`]);
    this.#hasLostCommits = false;
  }

  async #load(session: Session): Promise<void> {
    const { documents, changeLog } = this.#options;
    for (;;) {
      const snapshot = await readSnapshot(session);
      if (snapshot.head.version < documents.version) {
        continue; // we have written meanwhile
      }
      documents.load(snapshot.documents, snapshot.head.version);
      changeLog.reset(toHistory(snapshot, documents));
      snapshot.logged.forEach(({ commitId }) => this.#noteCommit(commitId));
      this.#commitId = snapshot.head.commitId;
      return;
    }
  }
}
