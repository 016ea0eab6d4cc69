/**
 * What `cara-server` does by its first word: the server itself, or one of the tasks for whoever is on its machine. Each task's module has
 * its words.
 *
 * Callers  main.ts.
 */
import { systemClock } from '../base/clock.ts';
import { redactConfig } from '../base/config.ts';
import { createLogger } from '../base/log.ts';
import { runProgram, runTask, type ProgramSources, type RunningProgram, StartError } from '../base/program.ts';
import { systemRandom } from '../base/random.ts';
import { runTokenCommand, TOKEN_COMMAND } from './auth/token-command.ts';
import { BACKUP_COMMAND, createBackupTask, createRestoreTask, RESTORE_COMMAND } from './backup/backup-commands.ts';
import { serverSettings, type ServerSettings } from './config.ts';
import type { ServerPorts } from './ports.ts';
import { createRotateTask, DROP_FLAG, ROTATE_COMMAND } from './secrets/rotate-command.ts';
import { createTlsTask, DISTRUST_FLAG, TLS_COMMAND } from './tls/tls-command.ts';

const SUMMARY =
  'cara-server is the control plane: API, scheduler and health of the fleet.\n' +
  `cara-server ${BACKUP_COMMAND} FILE and cara-server ${RESTORE_COMMAND} FILE save all of it and bring it back; ` +
  `cara-server ${ROTATE_COMMAND} encrypts the Secrets under a new key; cara-server ${TOKEN_COMMAND} create makes an admin token; ` +
  `cara-server ${TLS_COMMAND} show prints the fingerprint that agents are given.`;

type StartServer = (ports: ServerPorts) => Promise<RunningProgram>;

/** Runs what `argv` asks for to its end, and sets the exit code. */
export async function runServerCommand(
  startServer: StartServer,
  { argv, env, isRoot }: ProgramSources & { readonly isRoot: boolean },
): Promise<void> {
  const settings = serverSettings({ env, isRoot });
  const [command = '', ...words] = argv;
  switch (command) {
    case BACKUP_COMMAND:
    case RESTORE_COMMAND:
      return await runBackupTask(settings, command, { argv: words, env });
    case TOKEN_COMMAND:
      return await runTokenCommand(settings, { argv: words, env });
    case ROTATE_COMMAND: {
      const task = createRotateTask(settings, words.includes(DROP_FLAG) ? 'drop' : 'refuse');
      return await runTask(task, { argv: words.filter((word) => word !== DROP_FLAG), env });
    }
    case TLS_COMMAND:
      return await runTlsTask(settings, { argv: words, env });
    default:
      return /^[a-z]/u.test(command) ? await runUnknown(settings, { command, env }) : await runServer(settings, startServer, { argv, env });
  }
}

async function runUnknown(
  settings: ServerSettings,
  { command, env }: { readonly command: string } & Pick<ProgramSources, 'env'>,
): Promise<void> {
  const known = [BACKUP_COMMAND, RESTORE_COMMAND, TOKEN_COMMAND, ROTATE_COMMAND, TLS_COMMAND].join(', ');
  const run = (): never => {
    throw new StartError(
      `Cannot run ${JSON.stringify(command)} as there is no such command: known are ${known}; without one the server starts`,
    );
  };
  await runTask({ name: 'cara-server', summary: '', settings, run }, { argv: [], env });
}

async function runBackupTask(
  settings: ServerSettings,
  command: typeof BACKUP_COMMAND | typeof RESTORE_COMMAND,
  { argv: [file, ...rest], env }: ProgramSources,
): Promise<void> {
  const task = command === BACKUP_COMMAND ? createBackupTask(settings, file) : createRestoreTask(settings, file);
  await runTask(task, { argv: asksForWords(file) ? ['--help'] : rest, env });
}

async function runTlsTask(settings: ServerSettings, { argv, env }: ProgramSources): Promise<void> {
  const [action, ...rest] = argv.filter((word) => word !== DISTRUST_FLAG);
  const task = createTlsTask(settings, action, argv.includes(DISTRUST_FLAG) ? 'distrust' : 'vouch');
  await runTask(task, { argv: asksForWords(action) ? ['--help'] : rest, env });
}

/** Where a file or an action should stand. */
function asksForWords(word: string | undefined): boolean {
  return word === '--help' || word === '-h';
}

async function runServer(settings: ServerSettings, startServer: StartServer, sources: ProgramSources): Promise<void> {
  await runProgram(
    {
      name: 'cara-server',
      summary: SUMMARY,
      settings,
      start: async (config) => {
        const log = createLogger('cara-server', { level: config.LOG_LEVEL, format: config.LOG_FORMAT });
        log.info(redactConfig(settings, config), 'configuration');
        const tell = (text: string): void => void process.stderr.write(text);
        return await startServer({ config, clock: systemClock, random: systemRandom, log, tell });
      },
    },
    sources,
  );
}
