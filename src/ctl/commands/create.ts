/** caractrl create: a Secret from values on the command line or in files. Everything else is made by apply. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { hasReason } from '../../api/errors.ts';
import { defineCommand, flag, list, text, type CommandContext } from '../command.ts';
import type { SecretObject } from '../../api/secret.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ApplyResult } from '../../client/resource-client.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { renderDocument } from '../output/document.ts';
import { findType } from '../resource-type.ts';

/** The server's bound on all values of a Secret; said before a file is read. */
const MAX_VALUE_BYTES = 512 * 1024;
const MAX_LINE_BYTES = 512;
const LINE_FEED = 0x0a;
const EXAMPLE = 'caractrl create secret generic shop --from-file=db-password=password.txt';

interface CreateOptions {
  readonly fromLiteral: readonly string[];
  readonly fromFile: readonly string[];
  readonly type: string | undefined;
  readonly replace: boolean;
}

export const createCommand = defineCommand({
  name: 'create',
  summary: 'Make a Secret of values and files',
  args: 'secret generic NAME',
  options: {
    fromLiteral: list('key=value', 'a value; others on this machine can see it while the command runs, so rather use a file'),
    fromFile: list('[key=]path', 'a file as a value, its name being the key where none is given; - for standard input'),
    type: text('type', 'Opaque (default) or dockerconfigjson'),
    replace: flag('where it is there already: these values in place of all that it has; services that use it get them'),
  },
  examples: [
    { command: EXAMPLE, does: 'a password from a file' },
    {
      command: 'openssl rand -hex 16 | tr -d "\\n" | caractrl create secret generic shop --from-file=token=-',
      does: 'a value that nobody has seen',
    },
    { command: `${EXAMPLE} --replace`, does: 'another password' },
    {
      command: 'caractrl create secret generic registry --type dockerconfigjson --from-file .dockerconfigjson=$HOME/.docker/config.json',
      does: 'what "docker login" keeps',
    },
  ],
  run: runCreate,
});

async function runCreate(context: CommandContext, args: readonly string[], options: CreateOptions): Promise<number> {
  const { io, output = 'table', signal } = context;
  const name = readName(args);
  const data: Readonly<Record<string, string>> = await readData(context, options);
  const { type } = options;
  const manifest = { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name }, ...(type !== undefined && { type }), data };
  const client = await context.connect();
  const { secret, result } = await send(client, manifest, { replace: options.replace, signal });
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, secret));
  } else {
    io.stdout.write(output === 'name' ? `secret/${name}\n` : `secret/${name} ${result}\n`);
  }
  return 0;
}

interface SecretManifest {
  readonly metadata: { readonly name: string };
}

/** @throws {CtlError} where it is there already and is not to be replaced */
async function send(
  client: CaraClient,
  manifest: SecretManifest,
  { replace, signal }: { readonly replace: boolean; readonly signal: AbortSignal },
): Promise<{ readonly secret: SecretObject; readonly result: ApplyResult }> {
  if (replace) {
    const { object, result } = await client.secrets.apply(manifest.metadata.name, manifest, signal);
    return { secret: object, result };
  }
  try {
    return { secret: await client.secrets.create(manifest, signal), result: 'created' };
  } catch (error) {
    throw hasReason(error, 'AlreadyExists')
      ? new CtlError(error.message, { cause: error, hint: 'add --replace to put these values in place of all that it has' })
      : error;
  }
}

/** `secret NAME` is enough; `generic` is what fingers know. @throws {UsageError} */
function readName(args: readonly string[]): string {
  const [type, ...rest] = args;
  if (type === undefined || findType(type) !== 'secret') {
    throw new UsageError('Cannot create anything but Secrets like this: apply makes the rest from manifests', { hint: EXAMPLE });
  }
  const [name, ...more] = rest.length > 1 && rest[0] === 'generic' ? rest.slice(1) : rest;
  if (name === undefined || name === '' || more.length > 0) {
    throw new UsageError('Cannot tell which Secret to create: give one name', { hint: EXAMPLE });
  }
  return name;
}

/** Key -> value in base64. @throws {UsageError}, {CtlError}, none of which repeats a value */
async function readData(context: CommandContext, { fromLiteral, fromFile }: CreateOptions): Promise<Readonly<Record<string, string>>> {
  const values = new Map<string, Uint8Array>();
  const add = (key: string, value: Uint8Array): void => {
    if (values.has(key)) {
      throw new UsageError(`Cannot use two values for one key: ${JSON.stringify(key)} is given twice`);
    }
    values.set(key, value);
  };
  for (const [index, literal] of fromLiteral.entries()) {
    const equals = literal.indexOf('=');
    if (equals < 1) {
      throw new UsageError(`Cannot read --from-literal number ${index + 1} as it must be KEY=VALUE`); // it may be a bare password
    }
    add(literal.slice(0, equals), Buffer.from(literal.slice(equals + 1)));
  }
  for (const source of fromFile) {
    const equals = source.indexOf('=');
    const path = source.slice(equals + 1);
    if (path === '-' && equals < 1) {
      throw new UsageError('Cannot tell the key of what comes from standard input: write --from-file=KEY=-');
    }
    add(equals < 1 ? basename(path) : source.slice(0, equals), await readValue(context, path));
  }
  for (const [key, value] of values) {
    if (isLine(value)) {
      context.io.stderr.write(
        `note: the value of ${key} ends with a line feed, which belongs to it: printf %s, or tr -d '\\n', leaves it out\n`,
      );
    }
  }
  if (values.size === 0) {
    throw new UsageError('Cannot create a Secret without values: give --from-file or --from-literal', { hint: EXAMPLE });
  }
  return Object.fromEntries([...values].map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}

/** One short line, as echo and editors write a password: most programs would take its end for a part of it. */
function isLine(value: Uint8Array): boolean {
  const text = value.subarray(0, -1);
  return (
    value.byteLength <= MAX_LINE_BYTES &&
    value.at(-1) === LINE_FEED &&
    text.byteLength > 0 &&
    text.every((byte) => byte >= 0x20 && byte < 0x7f)
  );
}

async function readValue({ io, signal }: CommandContext, path: string): Promise<Uint8Array> {
  if (path === '-') {
    return checkSize('standard input', await io.readStdin(MAX_VALUE_BYTES, signal));
  }
  try {
    const { size } = await stat(path);
    checkSize(path, { byteLength: size });
    return await readFile(path, { signal });
  } catch (error) {
    if (error instanceof CtlError) {
      throw error;
    }
    throw new CtlError(`Cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function checkSize<Bytes extends { readonly byteLength: number }>(what: string, bytes: Bytes): Bytes {
  if (bytes.byteLength > MAX_VALUE_BYTES) {
    throw new CtlError(`Cannot use ${what} as a Secret has at most 512 KiB of values in all`);
  }
  return bytes;
}
