/** A backup as bytes. Callers: start-backups.ts, backup-commands.ts, backup-schedule.ts. */
import { VERSION } from '../../base/version.ts';
import type { Clock } from '../../base/clock.ts';
import { compressed } from '../../store/backup/backup-file.ts';
import { writeLines } from '../../store/backup/backup-format.ts';
import type { Store } from '../../store/store.ts';

/** The bytes of a backup of the store as it is now. @throws {ApiError} Unavailable */
export async function toBackup(store: Store, clock: Clock): Promise<NodeJS.ReadableStream> {
  const { version, documents } = await store.snapshot();
  const createdAt = new Date(clock.wallMs()).toISOString();
  return compressed(writeLines({ createdAt, serverVersion: VERSION, version }, documents));
}
