/**
 * Group writer: one group of commits, from judging to durable, whatever happens to the connection in between.
 *
 * Owns     the ids of its tries. Of each it finds out whether it was done before it tries again, so that nothing is done twice.
 * Callers  postgres-store.ts, one group at a time.
 */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Documents } from '../documents.ts';
import type { Change } from '../store.ts';
import { answerOf, type Waiting } from '../waiting.ts';
import { WriteBatch } from '../write-batch.ts';
import type { Link } from './link.ts';
import { explainPostgres, isRefusal, RETRY_AFTER_MS } from './postgres-errors.ts';
import type { Replica } from './replica.ts';
import { toSince, toWriteValues, type Head } from './rows.ts';
import type { Session } from './session.ts';
import { BEGIN_ALONE, readSince, WRITE } from './statements.ts';

/** ms; to find out whether a commit was done whose connection was lost. A restart or a fail-over of the database fits in. */
const RESOLVE_TIMEOUT_MS = 10_000;
const RESOLVE_PAUSE_MS = 100;

export interface GroupWriterOptions {
  readonly documents: Documents;
  readonly replica: Replica;
  readonly link: Link;
  readonly label: string;
  /** with which commit ids begin */
  readonly instance: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

type Answers = readonly (() => void)[];

/** A group as it would be done at `base`. */
interface Judged {
  readonly base: Head;
  readonly changes: readonly Change[];
  readonly answers: Answers;
}

/** A group on its way. */
interface Work {
  readonly group: readonly Waiting[];
  /** commit id -> a try of which it is not known whether it was done */
  readonly open: Map<string, Judged>;
  /** the one that was */
  done: Judged | undefined;
  /** monotonic; until when that must be known */
  deadlineMs: number;
}

export class GroupWriter {
  readonly #options: GroupWriterOptions;
  #count = 0;

  constructor(options: GroupWriterOptions) {
    this.#options = options;
  }

  /** @returns what tells each caller, now that it is durable and memory shows it @throws what the database or the connection threw: all are to be refused */
  async write(group: readonly Waiting[]): Promise<Answers> {
    const work: Work = { group, open: new Map(), done: undefined, deadlineMs: Infinity };
    const listening = this.#options.replica.onCommit((commitId) => {
      work.done ??= work.open.get(commitId);
    });
    try {
      let judged = await this.#try(work, 'at once');
      while (judged === undefined) {
        judged = await this.#try(work, 'alone');
      }
      return judged.answers;
    } finally {
      listening[Symbol.dispose]();
    }
  }

  /** One try. @returns undefined: another one is needed */
  async #try(work: Work, how: 'at once' | 'alone'): Promise<Judged | undefined> {
    try {
      return await (how === 'alone' ? this.#writeAlone(work) : this.#writeAt(work));
    } catch (error) {
      if (work.open.size === 0) {
        throw error;
      }
      await this.#lookFor(work, error);
      return work.done;
    }
  }

  /** Waits until memory is current again, which tells whether an open try was done. @throws {ApiError} Unavailable when that takes too long */
  async #lookFor(work: Work, cause: unknown): Promise<void> {
    const { clock, replica, label, signal } = this.#options;
    work.deadlineMs = Math.min(work.deadlineMs, clock.monotonicMs() + RESOLVE_TIMEOUT_MS);
    for (;;) {
      if (clock.monotonicMs() >= work.deadlineMs || signal.aborted) {
        throw new ApiError(
          'Unavailable',
          `Cannot tell whether the write was done as the connection to database ${label} was lost amid it: read again before you repeat it (${explainPostgres('commit', cause).message})`,
          { cause, retryAfterMs: RETRY_AFTER_MS },
        );
      }
      try {
        await replica.refresh();
        return;
      } catch {
        await clock.sleep(RESOLVE_PAUSE_MS, signal).catch(() => undefined); // aborted: seen above
      }
    }
  }

  /** Writes what was judged at the version that memory has, if the database is there still. */
  async #writeAt(work: Work): Promise<Judged | undefined> {
    const { replica, link, documents } = this.#options;
    const judged = this.#judge(work);
    if (judged.changes.length === 0) {
      await replica.refresh(); // a refusal too holds only at the version on which it was judged
      return documents.version === judged.base.version ? judged : undefined;
    }
    const session = await link.get();
    if (await this.#send(session, work, judged)) {
      return judged;
    }
    return undefined;
  }

  /** As above with the word taken first, so that nobody is faster; and with it, what was tried before is done or never will be. */
  async #writeAlone(work: Work): Promise<Judged | undefined> {
    const { replica, link, documents } = this.#options;
    const session = await link.get();
    try {
      const results = await session.script(`${BEGIN_ALONE}${readSince(documents.version)}`);
      const since = toSince(results[2] ?? []);
      replica.absorb(since);
      if (replica.head.version !== since.head.version || replica.head.commitId !== since.head.commitId) {
        await session.query('ROLLBACK');
        await replica.refresh();
        return work.done;
      }
      work.open.clear(); // what memory does not show now was not done, and finds the database at another version if it still comes
      const judged = work.done ?? this.#judge(work);
      if (judged === work.done || judged.changes.length === 0) {
        await session.query('ROLLBACK');
        return judged;
      }
      return (await this.#send(session, work, judged, 'COMMIT')) ? judged : undefined;
    } catch (error) {
      if (session.isOpen) {
        await session.query('ROLLBACK').catch(() => session.destroy());
      }
      throw error;
    }
  }

  /** @param end what ends the transaction; none: the statement is one @returns whether it was done; false: the database was at another version */
  async #send(session: Session, work: Work, { base, changes, answers }: Judged, end?: 'COMMIT'): Promise<boolean> {
    this.#count += 1;
    const commitId = `${this.#options.instance}/${this.#count}`;
    const values = toWriteValues(base, changes, commitId);
    work.open.set(commitId, { base, changes, answers });
    try {
      const rows = await session.query(WRITE, values);
      if (end !== undefined) {
        await session.query(end);
      }
      work.open.delete(commitId);
      if (rows.length === 0) {
        return false;
      }
    } catch (error) {
      if (isRefusal(error)) {
        work.open.delete(commitId);
      }
      throw error;
    }
    this.#options.replica.publish(changes, commitId);
    return true;
  }

  #judge({ group }: Work): Judged {
    const { documents, replica } = this.#options;
    const batch = new WriteBatch(documents);
    const answers = group.map((waiting) => answerOf(batch, waiting));
    return { base: replica.head, changes: batch.changes, answers };
  }
}
