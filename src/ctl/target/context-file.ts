/**
 * Context file: the servers that caractrl knows, each with a token, and which of them is the current one.
 *
 * Owns     the file while it is written: replaced whole, for its owner alone. What it has beside what we write stays, comments too.
 * Callers  target.ts reads; commands/login.ts and commands/config.ts write.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Document } from 'yaml';
import { FINGERPRINT, parseFingerprint } from '../../api/fingerprint.ts';
import { writeFileAtomically } from '../../base/atomic-file.ts';
import { makeDataDir } from '../../base/data-dir.ts';
import { explainFileError, isAbsence } from '../../base/file-error.ts';
import { CtlError } from '../ctl-error.ts';
import type { Environment } from '../io.ts';

export interface Context {
  readonly name: string;
  readonly server: string;
  readonly token?: string;
  /** of the authority that the server's certificate comes from */
  readonly caFingerprint?: string;
}

export interface Contexts {
  readonly current: string | undefined;
  readonly contexts: readonly Context[];
}

const EXAMPLE = 'currentContext: home\ncontexts: [{name: home, server: http://127.0.0.1:8080}]';
const EMPTY: Contexts = { current: undefined, contexts: [] };

/** Where it is when nobody says otherwise; undefined without a home. */
export function defaultConfigPath(env: Environment): string | undefined {
  const xdg = env['XDG_CONFIG_HOME'];
  const home = env['HOME'];
  if (xdg !== undefined && xdg !== '') {
    return join(xdg, 'caravanserai', 'config.yaml');
  }
  return home === undefined || home === '' ? undefined : join(home, '.config', 'caravanserai', 'config.yaml');
}

/** @returns nothing known where there is no file @throws {CtlError} when it cannot be read or is malformed, or is missing though it must be there */
export async function readContexts(path: string, options: { readonly isRequired: boolean }, signal: AbortSignal): Promise<Contexts> {
  const document = await readDocument(path, options, signal);
  return document === undefined ? EMPTY : toContexts(path, document.toJS({ maxAliasCount: 10 }));
}

/** Adds or replaces a context, and makes it the current one. @throws {CtlError} */
export async function saveContext(path: string, context: Context, signal: AbortSignal): Promise<void> {
  await change(path, signal, (document) => {
    const index = indexOf(document, context.name);
    if (!document.hasIn(['contexts'])) {
      document.set('contexts', document.createNode([]));
    }
    if (index === undefined) {
      document.addIn(['contexts'], document.createNode(context));
    } else {
      const place = ['contexts', index];
      document.setIn([...place, 'server'], context.server);
      for (const key of ['token', 'caFingerprint'] as const) {
        if (context[key] === undefined) {
          document.deleteIn([...place, key]);
        } else {
          document.setIn([...place, key], context[key]);
        }
      }
    }
    document.set('currentContext', context.name);
  });
}

/** @throws {CtlError} also when there is none of that name */
export async function useContext(path: string, name: string, signal: AbortSignal): Promise<void> {
  await change(path, signal, (document) => {
    requireIndex(path, document, name);
    document.set('currentContext', name);
  });
}

/** @throws {CtlError} also when there is none of that name */
export async function deleteContext(path: string, name: string, signal: AbortSignal): Promise<void> {
  await change(path, signal, (document) => {
    document.deleteIn(['contexts', requireIndex(path, document, name)]);
    if (document.get('currentContext') === name) {
      document.delete('currentContext');
    }
  });
}

/** Whether others on this machine may read it, and so the tokens in it. */
export async function isReadableByOthers(path: string): Promise<boolean> {
  return await stat(path).then(
    ({ mode }) => (mode & 0o077) !== 0,
    () => false,
  );
}

async function change(path: string, signal: AbortSignal, edit: (document: Document) => void): Promise<void> {
  const { Document: NewDocument } = await import('yaml');
  const document = (await readDocument(path, { isRequired: false }, signal)) ?? new NewDocument({});
  toContexts(path, document.toJS({ maxAliasCount: 10 })); // what we do not understand we do not write
  edit(document);
  try {
    await makeDataDir(dirname(path));
    await writeFileAtomically(path, document.toString());
  } catch (error) {
    throw new CtlError(`Cannot write the config file ${path} as ${explainFileError(error)}`, {
      cause: error,
      hint: 'name another with --config FILE',
    });
  }
}

async function readDocument(
  path: string,
  { isRequired }: { readonly isRequired: boolean },
  signal: AbortSignal,
): Promise<Document | undefined> {
  let content: string;
  try {
    content = await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    if (isAbsence(error) && !isRequired) {
      return undefined;
    }
    throw new CtlError(`Cannot read the config file ${path} as ${explainFileError(error)}`, {
      cause: error,
      hint: 'name the server with --server URL',
    });
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(content);
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    throw malformed(path, `it is no YAML: ${mistake.message.split('\n')[0]}`, mistake);
  }
  return document.contents === null ? undefined : document;
}

function toContexts(path: string, value: unknown): Contexts {
  const { currentContext, contexts = [] } = toRecord(value) ?? {};
  const isEmpty = toRecord(value) !== undefined && Object.keys(toRecord(value) ?? {}).length === 0;
  if (!isEmpty && currentContext === undefined && toRecord(value)?.['contexts'] === undefined) {
    throw malformed(path, 'it has neither currentContext nor contexts');
  }
  if (!Array.isArray(contexts)) {
    throw malformed(path, 'contexts must be a list of maps with name and server');
  }
  if (currentContext !== undefined && typeof currentContext !== 'string') {
    throw malformed(path, 'currentContext must be the name of one of contexts');
  }
  return { current: currentContext, contexts: contexts.map((context) => toContext(path, toRecord(context) ?? {})) };
}

function toContext(path: string, { name, server, token, caFingerprint }: Readonly<Record<string, unknown>>): Context {
  if (typeof name !== 'string') {
    throw malformed(path, 'each of contexts must have a name');
  }
  if (typeof server !== 'string') {
    throw malformed(path, `the context ${JSON.stringify(name)} has no server`);
  }
  if (token !== undefined && typeof token !== 'string') {
    throw malformed(path, `the token of the context ${JSON.stringify(name)} must be text`);
  }
  const fingerprint = typeof caFingerprint === 'string' ? parseFingerprint(caFingerprint) : undefined;
  if (caFingerprint !== undefined && fingerprint === undefined) {
    throw malformed(path, `caFingerprint of the context ${JSON.stringify(name)} must be ${FINGERPRINT.expects}`);
  }
  return { name, server, ...(token !== undefined && { token }), ...(fingerprint !== undefined && { caFingerprint: fingerprint }) };
}

/** The context of that name. @throws {CtlError} */
export function getContext(path: string, { contexts }: Contexts, name: string): Context {
  const found = contexts.find((context) => context.name === name);
  if (found === undefined) {
    throw new CtlError(`Cannot find the context ${JSON.stringify(name)} in ${path}: known are ${namesOf(contexts)}`, {
      hint: 'caractrl login SERVER adds one, caractrl config get-contexts lists them',
    });
  }
  return found;
}

/** The current one; undefined where there is none. @throws {CtlError} where the file names one that it does not have */
export function getCurrentContext(path: string, { current, contexts }: Contexts): Context | undefined {
  const found = contexts.find(({ name }) => name === current);
  if (current !== undefined && found === undefined) {
    throw malformed(path, `currentContext names ${JSON.stringify(current)}, which contexts does not have: known are ${namesOf(contexts)}`);
  }
  return found;
}

function namesOf(contexts: readonly Context[]): string {
  return contexts.map(({ name }) => name).join(', ') || 'none';
}

function requireIndex(path: string, document: Document, name: string): number {
  getContext(path, toContexts(path, document.toJS({ maxAliasCount: 10 })), name);
  return indexOf(document, name) ?? 0;
}

function indexOf(document: Document, name: string): number | undefined {
  const { contexts = [] } =
    (document.toJS({ maxAliasCount: 10 }) as { readonly contexts?: readonly { readonly name?: unknown }[] } | null) ?? {};
  const index = contexts.findIndex((context) => context.name === name);
  return index === -1 ? undefined : index;
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function malformed(path: string, why: string, cause?: unknown): CtlError {
  return new CtlError(`Cannot use the config file ${path} as ${why}`, {
    cause,
    hint: `write it like this:\n  ${EXAMPLE.replaceAll('\n', '\n  ')}`,
  });
}
