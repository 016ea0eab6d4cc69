/** `cara-server rotate-secrets-key`: for when no server runs. */
import { ApiError } from '../../api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { StartError, type Task } from '../../base/program.ts';
import { databaseUrlOf, isPostgresUrl, type ServerSettings } from '../config.ts';
import { openOwnStore } from '../own-store.ts';
import { forgetSharedKey } from './key-agreement.ts';
import { rotateKeys, type Rotation } from './rotate-keys.ts';

export const ROTATE_COMMAND = 'rotate-secrets-key';
export const DROP_FLAG = '--drop-unreadable';

export function createRotateTask(settings: ServerSettings, unreadable: 'refuse' | 'drop'): Task<ServerSettings> {
  return {
    name: `cara-server ${ROTATE_COMMAND}`,
    summary: `Encrypts all Secrets under a new key; stop the server first. ${DROP_FLAG} deletes those whose key is lost.`,
    settings,
    run: async (config) => {
      const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
      const url = databaseUrlOf(config);
      const isShared = isPostgresUrl(url);
      if (isShared) {
        await requireAlone(url);
      }
      const store = await openOwnStore({ config, clock: systemClock, log });
      try {
        const rotation = await rotateKeys({ settings: config, store, clock: systemClock, log, unreadable });
        await forgetSharedKey(store);
        return describe(rotation, isShared);
      } finally {
        await store.close();
      }
    },
  };
}

/** A SQLite file tells by itself that a server has it. @throws {StartError} */
async function requireAlone(url: string): Promise<void> {
  const { requireNoServerOn } = await import('../../store/postgres/require-no-server.ts');
  try {
    await requireNoServerOn(url, 'rotate keys');
  } catch (error) {
    throw error instanceof ApiError ? new StartError(error.message, { cause: error }) : error;
  }
}

/** @param isShared there may be other servers, which need the new key too */
function describe({ rotated, dropped, keyId, where }: Rotation, isShared: boolean): string {
  const lines = [
    `${rotated} ${rotated === 1 ? 'Secret' : 'Secrets'} encrypted anew under key ${keyId} of ${where}`,
    ...dropped.map((name) => `secret/${name} deleted as it could not be read`),
    ...(isShared ? [`Copy ${where} to every other server on this database before you start it.`] : []),
    'Backups of the database from before need the old key; a backup from now on needs the new one.',
  ];
  return `${lines.join('\n')}\n`;
}
