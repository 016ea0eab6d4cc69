/**
 * caractrl: the command line.
 *
 * Owns     the process's streams, signals and exit code; nothing else touches them.
 * Never    logs; results go to stdout, everything else to stderr.
 */
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { VERSION } from '../base/version.ts';
import { createCaraClient, type CaraClient } from '../client/cara-client.ts';
import { createTransport, type FetchFunction, type Transport, type TransportOptions } from '../client/transport.ts';
import type { CommandContext } from './command.ts';
import { loadCommands, loadLikelyCommand } from './commands.ts';
import { withoutColor, type Environment, type Io } from './io.ts';
import { parseArguments, type GlobalOptions, type Parsed } from './program.ts';
import { configPathOf, resolveTarget, type Target } from './target/target.ts';

export interface Ports {
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly io: Io;
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch?: FetchFunction;
  /** the network to one server; default: `fetch` */
  readonly networkFor?: (target: Target) => Promise<Pick<TransportOptions, 'fetch' | 'trust'>>;
  readonly signal: AbortSignal;
}

const PATIENCE_MS = 15_000; // with a server that is asked for too much at once; a person waits

const INTERRUPTED = 130; // 128 + SIGINT, as shells have it

/** Runs one command line. @returns the exit code; never throws */
export async function runCaractrl(ports: Ports): Promise<number> {
  let output: GlobalOptions['output'];
  let { io } = ports;
  try {
    const { globals, outcome } = await readArguments(ports);
    output = globals.output;
    io = globals.color ? io : withoutColor(io);
    switch (outcome.kind) {
      case 'text':
        io.stdout.write(outcome.text);
        return 0;
      case 'misuse':
        throw outcome.error;
      case 'command': {
        const { command, args, options } = outcome.parsed;
        return await command.run(createContext({ ...ports, io }, globals), args, options);
      }
      default:
        return outcome satisfies never;
    }
  } catch (error) {
    if (ports.signal.aborted) {
      return INTERRUPTED;
    }
    const { reportFailure } = await import('./report-failure.ts');
    return reportFailure(error, { stderr: io.stderr, output, env: ports.env });
  }
}

/** Tries with the one verb that is probably meant; help, mistakes and suggestions need all of them. */
async function readArguments({ argv, io }: Ports): Promise<Parsed> {
  const { columns, hasColor } = io.stdout;
  const likely = await loadLikelyCommand(argv);
  const parsed = likely === undefined ? undefined : parseArguments([likely], argv, { columns, hasColor });
  return parsed?.outcome.kind === 'command' ? parsed : parseArguments(await loadCommands(), argv, { columns, hasColor });
}

function createContext({ io, clock, random, env, signal, fetch, networkFor }: Ports, globals: GlobalOptions): CommandContext {
  let client: CaraClient | undefined;
  const { server, context, caFingerprint: fingerprint, config: configPath } = globals;
  const sources = { server, context, caFingerprint: fingerprint, configPath, env };
  const open = async (target: Target): Promise<Transport> => {
    const network = (await networkFor?.(target)) ?? (fetch === undefined ? {} : { fetch });
    return createTransport({ ...target, userAgent: `caractrl/${VERSION}`, clock, patienceMs: PATIENCE_MS, ...network });
  };
  return {
    io,
    clock,
    random,
    output: globals.output,
    signal,
    connect: async () => (client ??= createCaraClient(await open(await resolveTarget(sources, signal)))),
    connectAuth: async (target) => {
      const { createAuthClient } = await import('../client/auth-client.ts');
      const chosen = await resolveTarget({ ...sources, target }, signal);
      const { serverUrl, caFingerprint } = chosen;
      return { ...createAuthClient(await open(chosen)), serverUrl, ...(caFingerprint !== undefined && { caFingerprint }) };
    },
    configPath: () => configPathOf(sources),
    contextName: globals.context,
  };
}

if (import.meta.main) {
  const { createHttpFetch, httpFetch } = await import('../client/http-fetch.ts');
  const { openProcess } = await import('./process.ts');
  const { io, signal, end } = openProcess(systemClock);
  const exitCode = await runCaractrl({
    argv: process.argv.slice(2),
    env: process.env,
    io,
    clock: systemClock,
    random: systemRandom,
    networkFor: async (target) => {
      if (target.caFingerprint === undefined && !target.serverUrl.includes('https:')) {
        return { fetch: httpFetch }; // the common case on one machine: nothing of TLS is loaded
      }
      const { trustTarget } = await import('./target/trust-target.ts');
      const trust = trustTarget(target, process.env);
      return { fetch: createHttpFetch(trust), trust };
    },
    signal,
  });
  end(exitCode);
}
