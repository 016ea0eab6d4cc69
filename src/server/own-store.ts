/** The store that the settings name, in a data folder that nobody else may read. Callers: main.ts, and the tasks that work while no server runs. */
import { chmod } from 'node:fs/promises';
import { ApiError } from '../api/errors.ts';
import type { Clock } from '../base/clock.ts';
import { makeDataDir } from '../base/data-dir.ts';
import { explainFileError } from '../base/file-error.ts';
import type { Logger } from '../base/log.ts';
import { keepAllPrivate } from '../base/private-files.ts';
import { StartError } from '../base/program.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { databaseUrlOf, type ServerConfig } from './config.ts';
import { IDENTITY_KIND } from './nodes/identity-record.ts';
import { AGENT_CREDENTIAL_KIND } from './tunnel/agent-credentials.ts';

/** Within DATA_DIR. */
const SECRET_FILES = ['cara.db', 'cara.db-wal', 'secret.key', 'tls/authority.pem', 'tls/server.pem'];

export interface OwnStoreDeps {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Logger;
}

/** @throws {StartError} */
export async function openOwnStore({ config, clock, log }: OwnStoreDeps): Promise<Store> {
  const { DATA_DIR: dataDir } = config;
  try {
    await makeDataDir(dataDir);
    await chmod(dataDir, 0o700); // it was there before: what we keep is nobody else's to read
    await keepAllPrivate(dataDir, SECRET_FILES, log); // also from those who have them open already
  } catch (error) {
    throw new StartError(
      `Cannot use the data folder ${dataDir} as ${explainFileError(error)}: set DATA_DIR to a folder that this user may write`,
      {
        cause: error,
      },
    );
  }
  try {
    return await openStore(databaseUrlOf(config), { clock, log, rarelyRead: [IDENTITY_KIND, AGENT_CREDENTIAL_KIND] });
  } catch (error) {
    throw error instanceof ApiError ? new StartError(error.message, { cause: error }) : error;
  }
}
