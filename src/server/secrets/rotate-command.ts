/** `cara-server rotate-secrets-key`: for when no server runs. */
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import type { Task } from '../../base/program.ts';
import type { serverSettings } from '../config.ts';
import { openOwnStore } from '../own-store.ts';
import { rotateKeys, type Rotation } from './rotate-keys.ts';

export const ROTATE_COMMAND = 'rotate-secrets-key';
export const DROP_FLAG = '--drop-unreadable';

type ServerSettings = ReturnType<typeof serverSettings>;

export function createRotateTask(settings: ServerSettings, unreadable: 'refuse' | 'drop'): Task<ServerSettings> {
  return {
    name: `cara-server ${ROTATE_COMMAND}`,
    summary: `Encrypts all Secrets under a new key; stop the server first. ${DROP_FLAG} deletes those whose key is lost.`,
    settings,
    run: async (config) => {
      const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
      const store = await openOwnStore({ config, clock: systemClock, log });
      try {
        return describe(await rotateKeys({ settings: config, store, clock: systemClock, log, unreadable }));
      } finally {
        await store.close();
      }
    },
  };
}

function describe({ rotated, dropped, keyId, where }: Rotation): string {
  const lines = [
    `${rotated} ${rotated === 1 ? 'Secret' : 'Secrets'} encrypted anew under key ${keyId} of ${where}`,
    ...dropped.map((name) => `secret/${name} deleted as it could not be read`),
    'Backups of the database from before need the old key; a backup from now on needs the new one.',
  ];
  return `${lines.join('\n')}\n`;
}
