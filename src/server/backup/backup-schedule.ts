/**
 * Scheduled backups: one file each BACKUP_INTERVAL into BACKUP_DIR, read back before it counts; the newest BACKUP_KEEP stay.
 *
 * Owns     files in BACKUP_DIR with names of its own form; what it says of its last attempt.
 * Never    deletes a file before a newer one was verified, or a file with another name.
 * Callers  start-backups.ts spawns `run`; readyz and metrics ask for `state`.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../../api/duration.ts';
import type { Clock } from '../../base/clock.ts';
import { explainFileError } from '../../base/file-error.ts';
import type { Logger } from '../../base/log.ts';
import { saveBackup } from '../../store/backup/backup-file.ts';
import type { Store } from '../../store/store.ts';
import { toBackup } from './to-backup.ts';

/** ms; between attempts while none succeeds. */
const RETRY_MS = 60_000;

/** Sorts by time. */
const NAME = /^cara-(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)(\d{3})z\.backup\.gz$/u;

export interface BackupScheduleOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** ms */
  readonly intervalMs: number;
  readonly folder: string;
  /** files that stay */
  readonly keep: number;
}

export interface BackupState {
  /** wall-clock ms of the last that succeeded, also of an earlier process; undefined: none is known */
  readonly succeededAtMs: number | undefined;
  /** of the last that succeeded, by this process */
  readonly bytes: number;
  readonly failures: number;
  /** why there is none, in a sentence; undefined while all is well */
  readonly problem: string | undefined;
}

export interface BackupSchedule {
  readonly state: BackupState;
  run(signal: AbortSignal): Promise<void>;
}

export function createBackupSchedule(options: BackupScheduleOptions): BackupSchedule {
  const { store, clock, intervalMs, folder, keep } = options;
  const log = options.log.child({ component: 'backup' });
  let state: BackupState = { succeededAtMs: undefined, bytes: 0, failures: 0, problem: undefined };

  async function backUp(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, nameOf(clock.wallMs()));
    const { bytes, objects, version } = await saveBackup(path, await toBackup(store, clock));
    log.info({ path, bytes, objects, resourceVersion: version }, 'backup written and read back');
    state = { ...state, succeededAtMs: clock.wallMs(), bytes, problem: undefined };
    for (const { name } of (await listBackups(folder)).slice(keep)) {
      await rm(join(folder, name), { force: true });
      log.info({ path: join(folder, name) }, 'old backup deleted');
    }
  }

  /** @returns how long to wait, in ms */
  async function attempt(): Promise<number> {
    const wasFailing = state.problem !== undefined;
    try {
      await backUp();
      if (wasFailing) {
        log.info({ failures: state.failures }, 'backups succeed again');
      }
      return intervalMs;
    } catch (error) {
      const problem = `Cannot write a backup to ${folder} as ${explainFileError(error)}`;
      state = { ...state, failures: state.failures + 1, problem };
      if (!wasFailing) {
        log.error({ err: error, folder }, 'backup failed, trying again');
      }
      return Math.min(RETRY_MS, intervalMs);
    }
  }

  /** Goes on from the newest that is there, so that a server that is often restarted neither floods the folder nor never comes to it. */
  async function firstWaitMs(): Promise<number> {
    const newest = (await listBackups(folder).catch(() => []))[0];
    if (newest === undefined) {
      return 0;
    }
    state = { ...state, succeededAtMs: newest.atMs };
    return Math.max(0, Math.min(intervalMs, newest.atMs + intervalMs - clock.wallMs()));
  }

  return {
    get state() {
      return state;
    },
    run: async (signal) => {
      let waitMs = await firstWaitMs();
      log.info({ folder, interval: formatDuration(intervalMs), keep }, 'backups scheduled');
      for (;;) {
        await clock.sleep(waitMs, signal);
        waitMs = await attempt();
      }
    },
  };
}

function nameOf(atMs: number): string {
  return `cara-${new Date(atMs).toISOString().replaceAll(/[-:.]/gu, '').toLowerCase()}.backup.gz`;
}

/** Newest first. */
async function listBackups(folder: string): Promise<readonly { readonly name: string; readonly atMs: number }[]> {
  return (await readdir(folder))
    .flatMap((name) => {
      const [, year, month, day, hour, minute, second, ms] = NAME.exec(name) ?? [];
      return year === undefined ? [] : [{ name, atMs: Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`) }];
    })
    .toSorted((left, right) => right.atMs - left.atMs);
}
