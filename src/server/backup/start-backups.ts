/** Puts the parts of backup/ that a running server has together. Callers: composition.ts. */
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import { parseStoreUrl } from '../../store/open-store.ts';
import type { Store } from '../../store/store.ts';
import type { Spawner } from '../cluster/seat.ts';
import { databaseUrlOf, type ServerConfig } from '../config.ts';
import { createBackupSchedule, type BackupSchedule } from './backup-schedule.ts';
import { listenForBackups, type BackupSocket } from './backup-socket.ts';
import { toBackup } from './to-backup.ts';

export interface BackupDeps {
  readonly store: Store;
  readonly config: ServerConfig;
  /** whether the store is the one that the settings name */
  readonly isOwn: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly stopper: Spawner;
}

export interface Backups {
  /** What is wrong though the server serves, in sentences. */
  readonly warnings: () => readonly string[];
  /** Sets the gauges. */
  readonly measure: () => void;
  readonly close: () => Promise<void>;
}

export async function startBackups(deps: BackupDeps): Promise<Backups> {
  const { store, config, clock, log, metrics, stopper } = deps;
  const schedule = createSchedule(deps);
  if (schedule !== undefined) {
    stopper.spawn('backup', (signal) => schedule.run(signal));
  }
  const isFile = deps.isOwn && parseStoreUrl(databaseUrlOf(config)).backend === 'sqlite';
  const socket: BackupSocket | undefined = isFile ? await listenForBackups(config.DATA_DIR, () => toBackup(store, clock), log) : undefined;
  return {
    warnings: () => (schedule?.state.problem === undefined ? [] : [schedule.state.problem]),
    measure: () => {
      if (schedule !== undefined) {
        const { succeededAtMs, bytes, failures } = schedule.state;
        metrics.backupSucceeded.set((succeededAtMs ?? 0) / 1000);
        metrics.backupBytes.set(bytes);
        metrics.backupFailures.set(failures);
      }
    },
    close: async () => await socket?.close(),
  };
}

function createSchedule({ store, config, clock, log }: BackupDeps): BackupSchedule | undefined {
  const { BACKUP_INTERVAL: intervalMs, BACKUP_KEEP: keep, BACKUP_DIR, DATA_DIR } = config;
  return intervalMs === undefined
    ? undefined
    : createBackupSchedule({ store, clock, log, intervalMs, keep, folder: BACKUP_DIR ?? join(DATA_DIR, 'backups') });
}
