/** `cara-server backup FILE` and `cara-server restore FILE`. */
import { dirname, join, resolve } from 'node:path';
import { ApiError } from '../../api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { explainFileError } from '../../base/file-error.ts';
import { createLogger } from '../../base/log.ts';
import { StartError, type Task } from '../../base/program.ts';
import { systemRandom } from '../../base/random.ts';
import { saveBackup } from '../../store/backup/backup-file.ts';
import type { BackupSummary } from '../../store/backup/backup-format.ts';
import { parseStoreUrl } from '../../store/open-store.ts';
import { databaseUrlOf, type ServerConfig, type ServerSettings } from '../config.ts';
import { openOwnStore } from '../own-store.ts';
import { askForBackup } from './backup-socket.ts';
import { restore } from './restore.ts';
import { toBackup } from './to-backup.ts';

export const BACKUP_COMMAND = 'backup';
export const RESTORE_COMMAND = 'restore';

export function createBackupTask(settings: ServerSettings, file: string | undefined): Task<ServerSettings> {
  return {
    name: `cara-server ${BACKUP_COMMAND} FILE`,
    summary: 'Writes all of the control plane into FILE, while the server runs or not, and reads it back. Secrets stay encrypted.',
    settings,
    run: async (config) => {
      const path = requireFile(file, BACKUP_COMMAND);
      const { bytes, ...summary } = await explained(`write backup ${path}`, () => takeBackup(path, config));
      return [
        `${describe(summary)} written to ${path} (${formatSize(bytes)}) and read back`,
        ...(config.SECRETS_KEY === undefined
          ? [
              `Secrets in it are encrypted: to restore them keep ${config.SECRETS_KEY_FILE ?? join(config.DATA_DIR, 'secret.key')} too, in another place`,
            ]
          : ['Secrets in it are encrypted under SECRETS_KEY: keep that too, in another place']),
        '',
      ].join('\n');
    },
  };
}

/** From the server that runs on the data folder; where none does, from the database. */
async function takeBackup(path: string, config: ServerConfig) {
  const isOwnFile = parseStoreUrl(databaseUrlOf(config)).backend === 'sqlite';
  const running = isOwnFile ? await askForBackup(config.DATA_DIR) : undefined;
  if (running !== undefined) {
    return await saveBackup(path, running);
  }
  const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
  const store = await openOwnStore({ config, clock: systemClock, log });
  try {
    return await saveBackup(path, await toBackup(store, systemClock));
  } finally {
    await store.close();
  }
}

export function createRestoreTask(settings: ServerSettings, file: string | undefined): Task<ServerSettings> {
  return {
    name: `cara-server ${RESTORE_COMMAND} FILE`,
    summary:
      'Puts the state of a backup in the place of the present one, which is kept; stop the server first. Nothing that runs is stopped.',
    settings,
    run: async (config) => {
      const path = requireFile(file, RESTORE_COMMAND);
      const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
      const deps = { databaseUrl: databaseUrlOf(config), clock: systemClock, random: systemRandom, log };
      const { keptAs, ...summary } = await explained(`restore ${path}`, () => restore(path, deps));
      return [
        `${describe(summary)} restored from ${path}`,
        ...(keptAs === undefined ? [] : [`What was there before is kept as ${keptAs}`]),
        'Start the server: agents hold on to what they run and this state does not know; "caractrl adopt" lists it, and takes it in',
        '',
      ].join('\n');
    },
  };
}

function requireFile(file: string | undefined, command: string): string {
  if (file === undefined || file === '' || file.startsWith('-')) {
    throw new StartError(`Cannot ${command} without a file: cara-server ${command} FILE`);
  }
  return resolve(file);
}

async function explained<Result>(action: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError) {
      throw new StartError(error.message, { cause: error });
    }
    if (error instanceof Error && 'syscall' in error) {
      throw new StartError(
        `Cannot ${action} as ${explainFileError(error)}: check the file and the folder ${dirname(action.split(' ').at(-1) ?? '')}`,
        { cause: error },
      );
    }
    throw error;
  }
}

function describe({ objects, version, createdAt }: BackupSummary): string {
  return `State of ${createdAt} at version ${version} with ${objects} ${objects === 1 ? 'object' : 'objects'}`;
}

function formatSize(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
