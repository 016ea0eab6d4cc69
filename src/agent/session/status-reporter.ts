/**
 * Status reporter: brings what the reconciler says of each Project to the server.
 *
 * Owns     the newest report per Project: what is not sent yet is replaced by what is newer. A change of phase goes at once,
 *          progress at most four times a second; at most one request per Project is under way, four in all.
 * Never    holds up the reconciler, or loses the last report while the server is away.
 * Callers  the reconciler reports by way of held-keeper.ts; compose/assignments.ts tells what the server has; composition.ts runs the loop.
 */
import { isDeepStrictEqual } from 'node:util';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject, StatusReport } from '../../api/project.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ProjectReport } from '../reconcile/assignment.ts';
import { Outage } from '../outage.ts';

const PROGRESS_GAP_MS = 250;
const MAX_IN_FLIGHT = 4;
const BACKOFF = { baseMs: 500, capMs: 10_000 };

export interface StatusReporter {
  report(report: ProjectReport): void;
  /** The Project is no longer this node's: nothing more is said of it. */
  forget(uid: string): void;
  /** Compares what the server has with what was reported last, and says it again where they differ (a restored server, a node that came back). */
  compare(project: ProjectObject): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface StatusReporterOptions {
  readonly client: Pick<CaraClient, 'reportStatus'>;
  /** the server says that this copy, made under `assignment`, is not the one that should run */
  readonly onStale: (project: string, uid: string, assignment: number) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Entry {
  readonly project: string;
  readonly uid: string;
  pending: StatusReport | undefined;
  lastSent: StatusReport | undefined;
  latest: StatusReport | undefined;
  /** what the server last had: phase and reason, as of its changes of mind some may have been missed while the line was cut */
  serverMind: string | undefined;
  isInFlight: boolean;
  /** monotonic milliseconds */
  lastSentAtMs: number;
  /** monotonic milliseconds; before it nothing is tried, as the server refused for the time being */
  notBeforeMs: number;
  readonly backoff: Backoff;
}

export function createStatusReporter(options: StatusReporterOptions): StatusReporter {
  const { client, onStale, clock, random, log } = options;
  const entries = new Map<string, Entry>(); // uid -> what is known of the Project
  const wakeup = new Wakeup();
  const outage = new Outage(log, clock, 'status reports');
  const serverBackoff = new Backoff(BACKOFF, random);
  const inFlight = new Set<Promise<void>>();
  let pausedUntilMs = -Infinity; // the server is away: one back-off for all Projects
  let crash: { readonly error: unknown } | undefined;

  function dueAtMs(entry: Entry): number {
    if (entry.pending === undefined || entry.isInFlight) {
      return Infinity;
    }
    const isPhaseChange = entry.pending.phase !== entry.lastSent?.phase;
    return Math.max(pausedUntilMs, entry.notBeforeMs, isPhaseChange ? -Infinity : entry.lastSentAtMs + PROGRESS_GAP_MS);
  }

  async function send(entry: Entry, report: StatusReport, signal: AbortSignal): Promise<void> {
    entry.pending = undefined;
    entry.isInFlight = true;
    entry.lastSentAtMs = clock.monotonicMs();
    try {
      await client.reportStatus(entry.project, report, signal);
      settleSuccess(entry, report);
    } catch (error) {
      signal.throwIfAborted();
      settleFailure(entry, report, error);
    } finally {
      entry.isInFlight = false;
    }
  }

  function settleSuccess(entry: Entry, report: StatusReport): void {
    entry.lastSent = report;
    entry.backoff.reset();
    serverBackoff.reset();
    outage.recovered();
    if (report.phase === 'Terminated' && entry.pending === undefined) {
      entries.delete(entry.uid);
    }
  }

  function settleFailure(entry: Entry, report: StatusReport, error: unknown): void {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    const { project, uid } = entry;
    if (error.reason === 'StaleAssignment') {
      log.info({ project, assignment: report.assignment, detail: error.message }, 'status report is stale');
      entries.delete(uid);
      onStale(project, uid, report.assignment ?? 0);
    } else if (error.reason === 'NotFound') {
      entry.lastSent = report; // gone, or not there yet after a restore: the watcher will tell
      if (report.phase === 'Terminated') {
        entries.delete(uid);
      }
    } else if (error.isRetryable || error.status >= 500 || error.status === 401 || error.status === 403) {
      retryLater(entry, report, error);
    } else {
      log.error({ project, reason: error.reason, detail: error.message }, 'status report refused');
      entry.lastSent = report; // the same again would be refused again
    }
  }

  function retryLater(entry: Entry, report: StatusReport, error: ApiError): void {
    entry.pending ??= report;
    if (error.reason === 'Conflict') {
      entry.notBeforeMs = clock.monotonicMs() + entry.backoff.nextMs();
      return;
    }
    outage.failed(error);
    pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + (error.retryAfterMs ?? serverBackoff.nextMs()));
  }

  function startDue(signal: AbortSignal): number {
    const nowMs = clock.monotonicMs();
    let nextMs = Infinity;
    for (const entry of entries.values()) {
      const atMs = dueAtMs(entry);
      if (atMs <= nowMs && inFlight.size < MAX_IN_FLIGHT && entry.pending !== undefined) {
        track(send(entry, entry.pending, signal), signal);
      } else if (atMs > nowMs) {
        nextMs = Math.min(nextMs, atMs);
      }
    }
    return nextMs - nowMs;
  }

  function track(sending: Promise<void>, signal: AbortSignal): void {
    const tracked = sending.then(undefined, (error: unknown) => {
      crash ??= signal.aborted ? undefined : { error };
    });
    inFlight.add(tracked);
    void tracked.then(() => {
      inFlight.delete(tracked);
      wakeup.notify();
    });
  }

  return {
    report: ({ project, uid, report }) => {
      const entry = entries.get(uid) ?? createEntry(project, uid, new Backoff(BACKOFF, random));
      entries.set(uid, entry);
      entry.latest = report;
      if (entry.pending !== undefined || entry.isInFlight || !isDeepStrictEqual(entry.lastSent, report)) {
        entry.pending = report;
        wakeup.notify();
      }
    },
    forget: (uid) => void entries.delete(uid),
    compare: ({ metadata, status }) => {
      const entry = entries.get(metadata.uid);
      const mind = `${status.phase} ${status.reason ?? ''}`;
      if (entry === undefined || entry.serverMind === mind) {
        return; // once per change of the server's mind: what it does not take to heart now, it would not the next time
      }
      entry.serverMind = mind;
      const isLeaving = metadata.deletedAt !== undefined || status.phase === 'Terminating' || status.phase === 'Terminated';
      const isOurs = status.assignment === entry.latest?.assignment;
      if (entry.pending === undefined && isOurs && !isLeaving && status.phase !== entry.latest?.phase) {
        entry.pending = entry.latest;
        wakeup.notify();
      }
    },
    run: async (signal) => {
      try {
        for (;;) {
          const waitMs = startDue(signal);
          await wakeup.wait(clock, waitMs, signal);
          if (crash !== undefined) {
            throw crash.error;
          }
        }
      } finally {
        await Promise.all(inFlight);
      }
    },
  };
}

function createEntry(project: string, uid: string, backoff: Backoff): Entry {
  const never = { lastSentAtMs: -Infinity, notBeforeMs: -Infinity };
  return {
    project,
    uid,
    backoff,
    ...never,
    pending: undefined,
    lastSent: undefined,
    latest: undefined,
    serverMind: undefined,
    isInFlight: false,
  };
}
