/** Which server to talk to: --server, then CARA_SERVER, then the current context of the config file, then loopback. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFileError } from '../base/file-error.ts';
import { CtlError, UsageError } from './ctl-error.ts';
import type { Environment } from './io.ts';

export interface Target {
  readonly serverUrl: string;
  readonly token?: string;
}

export interface TargetSources {
  /** --server */
  readonly server: string | undefined;
  /** --config */
  readonly configPath: string | undefined;
  readonly env: Environment;
}

const DEFAULT_SERVER = 'http://127.0.0.1:8080';
const EXAMPLE = 'currentContext: home\ncontexts: [{name: home, server: http://127.0.0.1:8080}]';

/** @throws {UsageError} for a malformed flag; {CtlError} for a malformed file or a missing one that was named */
export async function resolveTarget({ server, configPath, env }: TargetSources, signal: AbortSignal): Promise<Target> {
  if (server !== undefined) {
    return { serverUrl: readUrl(server, '--server') };
  }
  const fromEnvironment = env['CARA_SERVER'];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    return { serverUrl: readUrl(fromEnvironment, 'CARA_SERVER') };
  }
  const path = configPath ?? defaultConfigPath(env);
  const content = path === undefined ? undefined : await readIfThere(path, { isRequired: configPath !== undefined }, signal);
  return path === undefined || content === undefined ? { serverUrl: DEFAULT_SERVER } : readContext(path, content);
}

function defaultConfigPath(env: Environment): string | undefined {
  const xdg = env['XDG_CONFIG_HOME'];
  const home = env['HOME'];
  if (xdg !== undefined && xdg !== '') {
    return join(xdg, 'caravanserai', 'config.yaml');
  }
  return home === undefined || home === '' ? undefined : join(home, '.config', 'caravanserai', 'config.yaml');
}

async function readIfThere(path: string, { isRequired }: { isRequired: boolean }, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' && !isRequired) {
      return undefined;
    }
    throw new CtlError(`Cannot read the config file ${path} as ${explainFileError(error)}`, {
      cause: error,
      hint: 'name the server with --server URL',
    });
  }
}

async function readContext(path: string, content: string): Promise<Target> {
  const { parse } = await import('yaml');
  const malformed = (why: string, cause?: unknown): CtlError =>
    new CtlError(`Cannot use the config file ${path} as ${why}`, {
      cause,
      hint: `write it like this:\n  ${EXAMPLE.replaceAll('\n', '\n  ')}`,
    });
  let config: unknown;
  try {
    config = parse(content, { maxAliasCount: 10 });
  } catch (error) {
    throw malformed(`it is no YAML: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, error);
  }
  if (config === null || config === undefined) {
    return { serverUrl: DEFAULT_SERVER };
  }
  const { currentContext, contexts } = toRecord(config) ?? {};
  if (currentContext === undefined && contexts === undefined) {
    throw malformed('it has neither currentContext nor contexts');
  }
  if (!Array.isArray(contexts) || typeof currentContext !== 'string') {
    throw malformed(
      Array.isArray(contexts)
        ? 'currentContext must be the name of one of contexts'
        : 'contexts must be a list of maps with name and server',
    );
  }
  const known = contexts.map(toRecord);
  const current = known.find((context) => context?.['name'] === currentContext);
  if (current === undefined) {
    const names = known.map((context) => String(context?.['name'])).join(', ');
    throw malformed(`currentContext names ${JSON.stringify(currentContext)}, which contexts does not have: known are ${names || 'none'}`);
  }
  const { server, token } = current;
  if (typeof server !== 'string') {
    throw malformed(`the context ${JSON.stringify(currentContext)} has no server`);
  }
  if (token !== undefined && typeof token !== 'string') {
    throw malformed(`the token of the context ${JSON.stringify(currentContext)} must be text`);
  }
  return {
    serverUrl: readUrl(server, `server of the context ${JSON.stringify(currentContext)} in ${path}`),
    ...(token !== undefined && { token }),
  };
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}

/** One URL, or several apart by commas. */
function readUrl(text: string, origin: string): string {
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
