/** caractrl login: keeps a server and a token for it in the config file, once the server has said who the token is. */
import { readFile } from 'node:fs/promises';
import { explainFileError } from '../../base/file-error.ts';
import type { WhoAmI } from '../../api/token.ts';
import { defineCommand, text, type CommandContext } from '../command.ts';
import { isReadableByOthers, saveContext } from '../target/context-file.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { readUrl } from '../target/target.ts';

const MAX_BYTES = 4096;
const FORM = /^cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}$/u;

export const loginCommand = defineCommand({
  name: 'login',
  summary: 'Keep a server and your token for it, and use it from now on',
  args: 'SERVER',
  options: {
    name: text('name', 'of the context [the host of the server]'),
    tokenFile: text('file', 'where the token is; - for standard input [asked for on the terminal]'),
  },
  examples: [
    { command: 'caractrl login http://cara.lan:8080', does: 'asks for the token, which is not shown' },
    { command: 'caractrl login http://cara.lan:8080 --name work --token-file token.txt', does: 'from a file, under a name of its own' },
  ],
  run: async (context, args, { name, tokenFile }) => {
    const { io, signal } = context;
    const serverUrl = readServer(args);
    const path = context.configPath();
    const asks = await asksForToken(context, serverUrl);
    const token = asks || tokenFile !== undefined ? await readToken(context, tokenFile) : undefined;
    const client = await context.connectAuth({ serverUrl, ...(token !== undefined && { token }) });
    const { caFingerprint } = client;
    const you = await client.whoAmI(signal);
    const contextName = name ?? context.contextName ?? new URL(serverUrl.split(',', 1)[0] ?? '').hostname;
    await saveContext(
      path,
      {
        name: contextName,
        server: serverUrl,
        ...(token !== undefined && { token }),
        ...(caFingerprint !== undefined && { caFingerprint }),
      },
      signal,
    );
    if (await isReadableByOthers(path)) {
      io.stderr.write(`warning: others on this machine can read ${path}: chmod 600 ${path}\n`);
    }
    io.stdout.write(`logged in at ${serverUrl} as ${describe(you)}; context ${contextName} is the current one\n`);
    return 0;
  },
});

function describe({ kind, user, role, expiresAt }: WhoAmI): string {
  if (kind !== 'Person') {
    return kind === 'Everyone' ? 'anybody: this server asks for no credentials' : kind;
  }
  return `${user} (${role})${expiresAt === undefined ? '' : ` until ${expiresAt}`}`;
}

function readServer([server, ...more]: readonly string[]): string {
  if (server === undefined || more.length > 0) {
    throw new UsageError('Cannot tell where to log in: give one server', { hint: 'caractrl login http://cara.lan:8080' });
  }
  return readUrl(server, 'the server');
}

/** A server on loopback asks for nothing, and then nobody should be asked for a token. */
async function asksForToken({ connectAuth, signal }: CommandContext, serverUrl: string): Promise<boolean> {
  const { hasReason } = await import('../../api/errors.ts');
  const client = await connectAuth({ serverUrl });
  try {
    await client.whoAmI(signal);
    return false;
  } catch (error) {
    if (hasReason(error, 'Unauthorized')) {
      return true;
    }
    throw error;
  }
}

async function readToken({ io, signal }: CommandContext, file: string | undefined): Promise<string> {
  const given = file === undefined || file === '-' ? await ask(file) : await readFromFile(file);
  const token = given.trim();
  if (!FORM.test(token)) {
    throw new CtlError(
      `Cannot use that as a token as it must look like cara_ID_SECRET: ${token === '' ? 'nothing was given' : 'it does not'}`,
      {
        hint: 'an admin makes one with: caractrl token create --role viewer --user NAME; on the server itself: cara-server token create',
      },
    );
  }
  return token;

  async function ask(source: string | undefined): Promise<string> {
    if (source === undefined && io.stderr.isTerminal) {
      io.stderr.write('Token (not shown): ');
      const typed = await io.readHidden?.(signal);
      io.stderr.write('\n');
      if (typed !== undefined) {
        return typed;
      }
    }
    return new TextDecoder().decode(await io.readStdin(MAX_BYTES, signal));
  }
}

async function readFromFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CtlError(`Cannot read the token from ${file} as ${explainFileError(error)}`, { cause: error });
  }
}
