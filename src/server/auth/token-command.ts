/**
 * `cara-server token create`: for whoever is on the server's machine, as the user that it runs as, and has no token that works. It asks
 * the running server through its local socket; where none runs it writes to the store itself.
 */
import { request as httpRequest } from 'node:http';
import { decodeOrThrow, createDecoder } from '../../api/decode.ts';
import { ApiError, fromProblem } from '../../api/errors.ts';
import { TokenRequest, type NewToken } from '../../api/token.ts';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { runTask, StartError, type ProgramSources, type Task } from '../../base/program.ts';
import { systemRandom } from '../../base/random.ts';
import type { ServerConfig, ServerSettings } from '../config.ts';
import { openOwnStore } from '../own-store.ts';
import { localSocketPath } from './local-socket.ts';
import { createTokenService } from './token-service.ts';

export const TOKEN_COMMAND = 'token';

const FLAGS = ['--role', '--user', '--ttl', '--node', '--uses'] as const;

/** Runs it to its end and sets the exit code. */
export async function runTokenCommand(settings: ServerSettings, { argv, env }: ProgramSources): Promise<void> {
  try {
    const taken = takeTokenFlags(argv);
    await runTask(createTokenTask(settings, taken.request), { argv: taken.argv, env });
  } catch (error) {
    if (!(error instanceof StartError)) {
      throw error;
    }
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Splits what the token should be from the server's settings. @throws {StartError} */
function takeTokenFlags(argv: readonly string[]): { readonly request: unknown; readonly argv: readonly string[] } {
  const [action, ...words] = argv;
  if (action !== 'create' && action !== '--help' && action !== '-h') {
    throw new StartError('Cannot tell what to do: write cara-server token create --role admin --user NAME (caractrl token does the rest)');
  }
  const given: Record<string, unknown> = {};
  const rest: string[] = action === 'create' ? [] : [action];
  for (let index = 0; index < words.length; index += 1) {
    const [name = '', inline] = (words[index] ?? '').split('=', 2);
    if (FLAGS.some((flag) => flag === name)) {
      const value = inline ?? words[(index += 1)];
      if (value === undefined) {
        throw new StartError(`Cannot use ${name} as it needs a value`);
      }
      given[name.slice(2)] = name === '--uses' ? Number(value) : value;
    } else {
      rest.push(words[index] ?? '');
    }
  }
  const role = given['role'] ?? 'admin';
  return { request: { role, ...(role !== 'node' && { user: 'admin' }), ...given }, argv: rest };
}

function createTokenTask(settings: ServerSettings, asked: unknown): Task<ServerSettings> {
  return {
    name: 'cara-server token create',
    summary:
      'Makes a token on this machine, and prints it once: cara-server token create [--role admin] [--user NAME] [--ttl 24h].\n' +
      'Run it as the user that the server runs as, with its DATA_DIR; the server may run.',
    settings,
    run: async (config) => {
      try {
        const request = decodeOrThrow(createDecoder(TokenRequest), asked, 'token');
        const { token } = (await askRunningServer(config.DATA_DIR, request)) ?? (await createInStore(config, request));
        return `${token}\n`;
      } catch (error) {
        throw error instanceof ApiError ? new StartError(error.message, { cause: error }) : error;
      }
    },
  };
}

/** @returns undefined where none runs @throws {ApiError} what it says */
async function askRunningServer(dataDir: string, request: TokenRequest): Promise<NewToken | undefined> {
  const body = JSON.stringify(request);
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string } | undefined>();
  const sent = httpRequest({
    socketPath: localSocketPath(dataDir),
    method: 'POST',
    path: '/api/v1/tokens',
    headers: { host: 'localhost', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  sent.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') {
      reject(
        new StartError(`Cannot use ${localSocketPath(dataDir)} as this user may not: run it as the user that the server runs as`, {
          cause: error,
        }),
      );
    } else {
      resolve(undefined); // no such socket, or nobody listens any more
    }
  });
  sent.on('response', (answer) => {
    let text = '';
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => (text += chunk));
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    answer.on('error', reject);
  });
  sent.end(body);
  const answer = await promise;
  if (answer === undefined) {
    return undefined;
  }
  const parsed: unknown = JSON.parse(answer.text);
  if (answer.status !== 201) {
    throw fromProblem(answer.status, parsed);
  }
  return parsed as NewToken;
}

async function createInStore(config: ServerConfig, request: TokenRequest): Promise<NewToken> {
  const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
  const store = await openOwnStore({ config, clock: systemClock, log });
  try {
    return await createTokenService({ store, clock: systemClock, random: systemRandom, log }).create(request);
  } finally {
    await store.close();
  }
}
