/**
 * Which server to talk to, and what to show it: --server, then CARA_SERVER, then --context or the current context of the config file,
 * then loopback. The token is CARA_TOKEN, else the context's; also where the server of a context is named by its URL.
 */
import { readFile } from 'node:fs/promises';
import { FINGERPRINT, parseFingerprint } from '../../api/fingerprint.ts';
import { explainFileError } from '../../base/file-error.ts';
import { defaultConfigPath, getContext, getCurrentContext, readContexts, type Context, type Contexts } from './context-file.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import type { Environment } from '../io.ts';

export interface Target {
  readonly serverUrl: string;
  readonly token?: string;
  /** of the authority that the server's certificate comes from */
  readonly caFingerprint?: string;
}

export interface TargetSources {
  /** --server */
  readonly server: string | undefined;
  /** --context */
  readonly context: string | undefined;
  /** --ca-fingerprint */
  readonly caFingerprint?: string | undefined;
  /** a server that is named otherwise than by the sources: they say only what is left open */
  readonly target?: Target | undefined;
  /** --config */
  readonly configPath: string | undefined;
  readonly env: Environment;
}

const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/** @throws {UsageError} for a malformed flag; {CtlError} for a malformed file or a missing one that was named */
export async function resolveTarget({ caFingerprint, target, ...sources }: TargetSources, signal: AbortSignal): Promise<Target> {
  const found =
    target === undefined ? await findTarget(sources, signal) : { ...(await findPin(target.serverUrl, sources, signal)), ...target };
  const [given, origin] =
    caFingerprint === undefined
      ? [fromEnvironment(sources.env, 'CARA_CA_FINGERPRINT'), 'CARA_CA_FINGERPRINT']
      : [caFingerprint, '--ca-fingerprint'];
  return given === undefined ? found : { ...found, caFingerprint: readFingerprint(given, origin) };
}

type FileSources = Omit<TargetSources, 'caFingerprint' | 'target'>;

async function findTarget(sources: FileSources, signal: AbortSignal): Promise<Target> {
  const { env } = sources;
  const named = sources.server ?? fromEnvironment(env, 'CARA_SERVER');
  if (named !== undefined && sources.context !== undefined) {
    throw new UsageError('Cannot use --context as --server or CARA_SERVER names the server already: leave out one of them');
  }
  const given = await readGivenToken(env);
  if (named !== undefined) {
    const serverUrl = readUrl(named, sources.server === undefined ? 'CARA_SERVER' : '--server');
    const known = await findContextOf(serverUrl, sources, signal);
    return toTarget({ server: serverUrl, token: given ?? known?.token, caFingerprint: known?.caFingerprint });
  }
  const context = await findContext(sources, signal);
  return toTarget({ server: context?.server ?? DEFAULT_SERVER, token: given ?? context?.token, caFingerprint: context?.caFingerprint });
}

function toTarget({
  server,
  token,
  caFingerprint,
}: {
  server: string;
  token: string | undefined;
  caFingerprint: string | undefined;
}): Target {
  return { serverUrl: server, ...(token !== undefined && { token }), ...(caFingerprint !== undefined && { caFingerprint }) };
}

/** What is known of the authority of that very server; the file may be about to be written for the first time. */
async function findPin(serverUrl: string, { configPath, env }: FileSources, signal: AbortSignal): Promise<Pick<Target, 'caFingerprint'>> {
  const path = configPath ?? defaultConfigPath(env);
  const known = path === undefined ? undefined : findServer(await readContexts(path, { isRequired: false }, signal), serverUrl);
  return known?.caFingerprint === undefined ? {} : { caFingerprint: known.caFingerprint };
}

/** Where the config file is. @throws {CtlError} where there is no home to keep it in */
export function configPathOf({ configPath, env }: Pick<TargetSources, 'configPath' | 'env'>): string {
  const path = configPath ?? defaultConfigPath(env);
  if (path === undefined) {
    throw new CtlError('Cannot tell where the config file is as neither HOME nor XDG_CONFIG_HOME is set', {
      hint: 'name it with --config FILE',
    });
  }
  return path;
}

async function findContext({ context: name, configPath, env }: FileSources, signal: AbortSignal): Promise<Context | undefined> {
  const path = configPath ?? defaultConfigPath(env);
  if (path === undefined) {
    return undefined;
  }
  const known = await readContexts(path, { isRequired: configPath !== undefined }, signal);
  const context = name === undefined ? getCurrentContext(path, known) : getContext(path, known, name);
  return context && { ...context, server: readUrl(context.server, `server of the context ${JSON.stringify(context.name)} in ${path}`) };
}

/** What the contexts have for that very server; a token is never shown to another. */
async function findContextOf(serverUrl: string, { configPath, env }: FileSources, signal: AbortSignal): Promise<Context | undefined> {
  const path = configPath ?? defaultConfigPath(env);
  return path === undefined ? undefined : findServer(await readContexts(path, { isRequired: configPath !== undefined }, signal), serverUrl);
}

function findServer({ contexts }: Contexts, serverUrl: string): Context | undefined {
  return contexts.find(({ server }) => withoutSlash(server) === withoutSlash(serverUrl));
}

async function readGivenToken(env: Environment): Promise<string | undefined> {
  const path = fromEnvironment(env, 'CARA_TOKEN_FILE');
  const token = fromEnvironment(env, 'CARA_TOKEN');
  if (token !== undefined || path === undefined) {
    return token;
  }
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new CtlError(`Cannot read the token from CARA_TOKEN_FILE ${path} as ${explainFileError(error)}`, { cause: error });
  }
}

function fromEnvironment(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

function readFingerprint(value: string, origin: string): string {
  const parsed = parseFingerprint(value);
  if (parsed === undefined) {
    throw new UsageError(`Cannot use ${origin} as it must be ${FINGERPRINT.expects}: current value is ${JSON.stringify(value)}`);
  }
  return parsed;
}

function withoutSlash(url: string): string {
  return url.replace(/(?<!\/)\/+$/u, '');
}

/** One URL, or several apart by commas. @throws {UsageError} */
export function readUrl(text: string, origin: string): string {
  return text
    .split(',')
    .map((url) => readOneUrl(url.trim(), origin))
    .join(',');
}

function readOneUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(
      `Cannot use ${origin} as it must be a URL such as ${DEFAULT_SERVER}: current value is ${JSON.stringify(text)}`,
      /^[\w.-]+(:\d+)?$/u.test(text) ? { hint: `did you mean http://${text}?` } : {},
    );
  }
  return text;
}
