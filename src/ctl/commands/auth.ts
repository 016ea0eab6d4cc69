/** caractrl auth: who one is to the server, and whether one may do something. */
import { ACCESS_RESOURCES, VERBS, type AccessResource, type Verb } from '../../api/access.ts';
import type { WhoAmI } from '../../api/token.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { renderDocument } from '../output/document.ts';

const EXAMPLE = 'caractrl auth can-i create projects';

/** What people call it -> the verb, and what it is done to where that is not said. */
const WORDS: Readonly<Record<string, Verb>> = {
  get: 'read',
  list: 'read',
  watch: 'read',
  describe: 'read',
  logs: 'read',
  patch: 'update',
  replace: 'update',
  edit: 'update',
  move: 'update',
  drain: 'update',
  cordon: 'update',
  uncordon: 'update',
  label: 'update',
  annotate: 'update',
  extend: 'update',
};

export const authCommand = defineCommand({
  name: 'auth',
  summary: 'Show who you are to the server, and what you may do',
  args: 'whoami | can-i VERB RESOURCE[/NAME]',
  options: {},
  examples: [
    { command: 'caractrl auth whoami', does: 'the user and role of your token' },
    { command: EXAMPLE, does: 'yes or no, and why; exit code 0 or 1' },
    { command: 'caractrl auth can-i exec projects/shop', does: 'of one Project' },
  ],
  run: async (context, [action, ...args]) => {
    if (action === 'whoami') {
      return whoAmI(context);
    }
    if (action === 'can-i') {
      return canI(context, args);
    }
    const given = action === undefined ? 'nothing is said' : `there is no ${JSON.stringify(action)}`;
    throw new UsageError(`Cannot tell what to do as ${given}: known are whoami and can-i`, { hint: 'caractrl auth whoami' });
  },
});

async function whoAmI({ connectAuth, io, output = 'table', signal }: CommandContext): Promise<number> {
  const client = await connectAuth();
  const you = await client.whoAmI(signal);
  io.stdout.write(
    output === 'json' || output === 'yaml' ? await renderDocument(output, you) : `${describe(you)}\nserver   ${client.serverUrl}\n`,
  );
  return 0;
}

function describe({ kind, user, role, rights = [], limit, tokenId, expiresAt, node }: WhoAmI): string {
  const lines: readonly (readonly [string, string | undefined])[] = [
    [
      'user',
      kind === 'Person' ? user : kind === 'Everyone' ? 'anybody: this server asks for no credentials' : (node ?? 'a joining machine'),
    ],
    ['role', role],
    ['rights', rights.length === 0 ? undefined : rights.join(', ')],
    [
      'limit',
      limit === undefined ? undefined : [limit.namePrefix && `${limit.namePrefix}*`, limit.labelSelector].filter(Boolean).join(' '),
    ],
    ['token', tokenId],
    ['until', expiresAt],
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)}${value}`])).join('\n');
}

async function canI({ connectAuth, io, output = 'table', signal }: CommandContext, args: readonly string[]): Promise<number> {
  const query = readQuestion(args);
  const client = await connectAuth();
  const answer = await client.canI(query, signal);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, answer));
  } else {
    io.stdout.write(answer.allowed ? 'yes\n' : 'no\n');
    io.stderr.write(`${answer.why}\n`);
  }
  return answer.allowed ? 0 : 1;
}

function readQuestion([verbWord = '', target = '', ...more]: readonly string[]): {
  readonly verb: Verb;
  readonly resource: AccessResource;
  readonly name?: string;
} {
  const [resourceWord = '', name] = target.split('/', 2);
  const verb = WORDS[verbWord] ?? (verbWord === 'apply' ? 'create' : VERBS.find((known) => known === verbWord));
  const isOfLogs = verbWord === 'logs';
  const resource = isOfLogs ? 'logs' : ACCESS_RESOURCES.find((known) => known === resourceWord || known === `${resourceWord}s`);
  if (verb === undefined || more.length > 0) {
    const known = [...new Set([...VERBS, ...Object.keys(WORDS)])].join(', ');
    throw new UsageError(`Cannot tell what ${JSON.stringify(verbWord)} means: verbs are ${known}`, { hint: EXAMPLE });
  }
  if (resource === undefined) {
    throw new UsageError(`Cannot tell what ${JSON.stringify(resourceWord)} is: resources are ${ACCESS_RESOURCES.join(', ')}`, {
      hint: EXAMPLE,
    });
  }
  return { verb, resource, ...(name !== undefined && name !== '' && { name }) };
}
