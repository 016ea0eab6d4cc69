/**
 * Runs a program that lasts: the common flags, the configuration file, signals, and what a person reads when it cannot start.
 *
 * Owns     the process's signal handlers, stderr and exit code; nothing else ends the process.
 * Never    shows a stack trace for what a person can mend: expected failures are one line on stderr.
 * Callers  server/main.ts and agent/main.ts.
 */
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import {
  ConfigError,
  describeSettings,
  listSecretFlags,
  loadConfig,
  redactConfig,
  takeConfigPath,
  type Settings,
  type ValuesOf,
} from './config.ts';
import { explainFileError } from './file-error.ts';
import { VERSION } from './version.ts';

/** A failure that a person can mend; its message is for them, whole. The program says it and ends with exit code 1. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

export interface RunningProgram {
  /** Ends everything gracefully. */
  stop(): Promise<void>;
  /** Settles with the cause when the program cannot go on; stays pending for as long as it can. */
  readonly failed: Promise<unknown>;
}

export interface Program<S extends Settings> {
  /** such as "cara-agent" */
  readonly name: string;
  /** one sentence for --help */
  readonly summary: string;
  readonly settings: S;
  start(config: ValuesOf<S>): Promise<RunningProgram>;
}

export interface ProgramSources {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Runs `program` until a signal or a failure ends it, then exits the process. A second signal does not wait for the graceful end. */
export async function runProgram<S extends Settings>(program: Program<S>, sources: ProgramSources): Promise<void> {
  try {
    const config = await readCommandLine(program, sources);
    if (config !== undefined) {
      const running = await program.start(config);
      flushCompileCache(); // now and not at the exit: a kill -9 must not make the next start load the type stripper again (20 MB)
      process.exit(await runUntilEnd(running));
    }
  } catch (error) {
    complain(error);
    process.exit(1);
  }
}

/** A program that does one thing and ends. */
export interface Task<S extends Settings> extends Described<S> {
  /** @returns what to print */
  run(config: ValuesOf<S>): Promise<string>;
}

/** Runs `task` to its end and sets the exit code. */
export async function runTask<S extends Settings>(task: Task<S>, sources: ProgramSources): Promise<void> {
  try {
    const config = await readCommandLine(task, sources);
    if (config !== undefined) {
      process.stdout.write(await task.run(config));
    }
  } catch (error) {
    complain(error);
    process.exitCode = 1;
  }
}

type Described<S extends Settings> = Omit<Program<S>, 'start'>;

/** @returns undefined when the flags asked for words alone, which are then written */
async function readCommandLine<S extends Settings>(program: Described<S>, { argv, env }: ProgramSources): Promise<ValuesOf<S> | undefined> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usageOf(program));
    return undefined;
  }
  if (argv.includes('--version')) {
    process.stdout.write(`${program.name} ${VERSION}\n`);
    return undefined;
  }
  const config = await readConfig(
    program.settings,
    argv.filter((argument) => argument !== '--print-config'),
    env,
  );
  hideSecretFlags(program, argv);
  if (argv.includes('--print-config')) {
    process.stdout.write(`${JSON.stringify(redactConfig(program.settings, config), undefined, 2)}\n`);
    return undefined;
  }
  return config;
}

/**
 * Every user of a machine can read the arguments of its processes: those of this one are written over, and whoever typed a secret there is
 * told of the better way.
 */
function hideSecretFlags({ name, settings }: Described<Settings>, argv: readonly string[]): void {
  const given = listSecretFlags(settings, argv);
  if (given.length > 0) {
    process.title = name;
    const keys = given.map(({ flag, key }) => `${flag} as ${key} in the environment`).join(', ');
    process.stderr.write(`warning: everybody on this machine could read a secret among the arguments: give ${keys}\n`);
  }
}

async function readConfig<S extends Settings>(settings: S, argv: readonly string[], env: ProgramSources['env']): Promise<ValuesOf<S>> {
  const taken = takeConfigPath(argv, env);
  const path = taken.path === '' ? undefined : taken.path;
  return loadConfig(settings, {
    argv: taken.argv,
    env,
    ...(path !== undefined && { file: { path, values: await readYaml(path) } }),
  });
}

async function readYaml(path: string): Promise<unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`Cannot read configuration file ${path} as ${explainFileError(error)}`, { cause: error });
  }
  const { parseDocument } = await import('yaml'); // 5 MB that a program without a file need not carry
  const document = parseDocument(text, { prettyErrors: true });
  const [first] = document.errors;
  if (first !== undefined) {
    const words = first.message.split('\n', 1)[0]?.replace(/:$/u, '');
    throw new ConfigError(`Cannot read configuration file ${path} as it is no YAML: ${words}`, { cause: first });
  }
  return document.toJS({ maxAliasCount: 0 });
}

function usageOf(program: Described<Settings>): string {
  return `${program.summary}

Usage: ${program.name} [--help] [--version] [--print-config] [--config FILE] [SETTINGS]

Each setting is a flag, an environment variable (in brackets) or an entry of the YAML file, as dataDir: /srv/cara;
the first of these that is there counts, then the default.

${describeSettings(program.settings)}
`;
}

/** @returns the exit code */
async function runUntilEnd(running: RunningProgram): Promise<number> {
  const { promise: signalled, resolve: onSignal } = Promise.withResolvers<void>();
  const handle = (signal: NodeJS.Signals): void => {
    process.once('SIGINT', () => process.exit(130)); // 128 + the signal's number, as shells have it
    process.once('SIGTERM', () => process.exit(143));
    process.off(signal === 'SIGINT' ? 'SIGTERM' : 'SIGINT', handle);
    onSignal();
  };
  process.once('SIGINT', handle);
  process.once('SIGTERM', handle);
  const failure = await Promise.race([signalled, running.failed.then((cause) => ({ cause }))]);
  await running.stop();
  if (failure === undefined) {
    return 0;
  }
  complain(failure.cause);
  return 1;
}

/** One line for what a person can mend; a bug shows its stack, for whoever mends that. */
function complain(error: unknown): void {
  const isExpected = error instanceof ConfigError || error instanceof StartError;
  const words = isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`error: ${words}\n`);
}
