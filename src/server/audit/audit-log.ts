/**
 * Audit log: who did what to which object, from where, and what came of it.
 *
 * Owns     entries that are yet to be written, bounded; a request never waits for them. What `kill -9` takes with it is what was answered
 *          in the last moments.
 * Never    stops the server: while entries cannot be written (the disk is full; then no change can be stored either) they are kept up to
 *          a bound, then counted, and the count is written down with the first that can be.
 * Callers  http/audit-requests.ts records; http/routes/audit.ts reads.
 */
import type { AuditEntry, AuditQuery } from '../../api/audit.ts';
import { parseSince, SINCE_EXPECTS } from '../../api/since.ts';
import { invalid } from '../../api/decode.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { TokenBuckets } from '../../base/token-buckets.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { AuditSink } from './audit-file.ts';

const MAX_PENDING = 10_000; // some 4 MB
const RETRY_MS = 1000;
const DEFAULT_LIMIT = 1000;
/** Refusals of one address that are written down; more are counted, so that nobody fills the disk by being refused. */
const REFUSALS = { burst: 100, refillMs: 1000 };
const MAX_ADDRESSES = 10_000;

export type AuditRecord = Omit<AuditEntry, 'at' | 'suppressed' | 'lost'>;

export interface AuditLog {
  record(entry: AuditRecord): void;
  /** Writes what is recorded, until aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Writes what is left. Never rejects. */
  close(): Promise<void>;
  /** The newest that fit, oldest first. @throws {ApiError} Invalid */
  list(query: AuditQuery): Promise<readonly AuditEntry[]>;
}

export interface AuditLogDeps {
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createAuditLog({ sink, clock, log: parent }: AuditLogDeps): AuditLog {
  const log = parent.child({ component: 'audit-log' });
  const wakeup = new Wakeup();
  const refusals = new TokenBuckets(REFUSALS);
  const suppressed = new Map<string, number>();
  let pending: AuditEntry[] = [];
  let lost = 0;
  let isFailing = false;

  /** @returns how many were left out before it; undefined: it is left out too */
  function admit({ outcome, from = '' }: AuditRecord): number | undefined {
    if (outcome !== 'Refused') {
      return 0;
    }
    const nowMs = clock.monotonicMs();
    const key = refusals.size < MAX_ADDRESSES ? from : '';
    if (!refusals.take(key, nowMs)) {
      suppressed.set(key, (suppressed.get(key) ?? 0) + 1);
      return undefined;
    }
    if (refusals.size >= MAX_ADDRESSES) {
      refusals.forgetFull(nowMs);
    }
    const count = suppressed.get(key) ?? 0;
    suppressed.delete(key);
    return count;
  }

  let writing = Promise.resolve(true);

  /** One at a time. @returns whether all is written. Never rejects. */
  const flush = (): Promise<boolean> => (writing = writing.then(writePending));

  async function writePending(): Promise<boolean> {
    const batch = pending;
    const lostNow = lost;
    if (batch.length === 0) {
      return true;
    }
    pending = [];
    lost = 0;
    const [first, ...rest] = batch;
    const entries = lostNow > 0 && first !== undefined ? [{ ...first, lost: lostNow }, ...rest] : batch;
    try {
      await sink.append(entries.map((entry) => JSON.stringify(entry)));
      if (isFailing) {
        log.info({ lost: lostNow }, 'audit log is written again');
      }
      isFailing = false;
      return true;
    } catch (error) {
      if (!isFailing) {
        log.error({ err: error }, 'audit log cannot be written');
      }
      isFailing = true;
      pending = [...batch, ...pending];
      lost += lostNow + Math.max(0, pending.length - MAX_PENDING);
      pending.splice(MAX_PENDING);
      return false;
    }
  }

  return {
    record: (entry) => {
      const before = admit(entry);
      if (before === undefined) {
        return;
      }
      if (pending.length >= MAX_PENDING) {
        lost += 1;
        return;
      }
      pending.push({ at: nowRfc3339(clock), ...entry, ...(before > 0 && { suppressed: before }) });
      wakeup.notify();
    },
    run: async (signal) => {
      for (;;) {
        const isDone = await flush();
        if (isDone) {
          await wakeup.wait(clock, pending.length > 0 ? 0 : Infinity, signal);
        } else {
          await clock.sleep(RETRY_MS, signal);
        }
      }
    },
    close: async () => void (await flush()),
    list: async (query) => {
      await flush();
      return await readEntries(sink, toFilter(query, clock.wallMs()), query.limit ?? DEFAULT_LIMIT);
    },
  };
}

function toFilter({ since, who, object }: AuditQuery, nowMs: number): (entry: AuditEntry) => boolean {
  const sinceMs = since === undefined ? -Infinity : parseSince(since, nowMs);
  if (sinceMs === undefined) {
    throw invalid('the query', [{ pointer: '/since', detail: `must be ${SINCE_EXPECTS}: current value is ${JSON.stringify(since)}` }]);
  }
  return (entry) =>
    (who === undefined || entry.who === who) && (object === undefined || entry.object === object) && Date.parse(entry.at) >= sinceMs;
}

/** In as much memory as the answer takes. */
async function readEntries(sink: AuditSink, isWanted: (entry: AuditEntry) => boolean, limit: number): Promise<readonly AuditEntry[]> {
  const found: AuditEntry[] = [];
  for await (const line of sink.read()) {
    const entry = parse(line);
    if (entry !== undefined && isWanted(entry)) {
      found.push(entry);
      if (found.length >= 2 * limit) {
        found.splice(0, found.length - limit);
      }
    }
  }
  return found.slice(-limit);
}

/** @returns undefined for what is none, as the end of a file that a full disk cut off */
function parse(line: string): AuditEntry | undefined {
  try {
    const entry = JSON.parse(line) as AuditEntry;
    return typeof entry === 'object' && entry !== null && typeof entry.at === 'string' ? entry : undefined;
  } catch {
    return undefined;
  }
}
