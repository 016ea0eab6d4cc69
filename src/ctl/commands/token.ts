/** caractrl token: makes, lists and revokes tokens. One is shown once, when it is made. */
import { describeJoin } from '../../api/join-command.ts';
import type { TokenObject, TokenRequest } from '../../api/token.ts';
import { defineCommand, list, text, type CommandContext, type ValuesOf } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { ageOf, formatAge } from '../output/age.ts';
import { renderDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';

const EXAMPLE = 'caractrl token create --role node';

const OPTIONS = {
  role: text('role', 'admin, editor, viewer, or node, with which machines join'),
  user: text('name', 'whose it is, as caractrl audit shows it; not for role node'),
  allow: list('right', 'a right that only admins have by themselves: exec, secrets (their values) or privileged'),
  selector: text('selector', 'limits it to Projects and Secrets with these labels, such as team=a', 'l'),
  namePrefix: text('prefix', 'limits it to Projects and Secrets whose names begin so'),
  ttl: text('duration', 'how long it is good [role node: 1h, others: until it is revoked]'),
  node: text('node', 'role node: the one name to join under'),
  uses: text('count', 'role node: how many machines [1]'),
};

export const tokenCommand = defineCommand({
  name: 'token',
  summary: 'Make, list and revoke tokens of people and of joining machines',
  args: 'create | list | revoke ID...',
  options: OPTIONS,
  examples: [
    { command: `${EXAMPLE} --node worker-01`, does: 'prints the whole command for the worker' },
    { command: 'caractrl token create --role viewer --user alice', does: 'prints a token for Alice to log in with' },
    {
      command: 'caractrl token create --role editor --user team-a -l team=a --ttl 720h',
      does: 'for what has that label alone, for 30 days',
    },
    { command: 'caractrl token list', does: 'who has which, without the secrets' },
    { command: 'caractrl token revoke t0123456789abcde', does: 'ends it at once, open watches too' },
  ],
  run: async (context, [action, ...args], options) => {
    switch (action ?? '') {
      case 'create':
        return createToken(context, args, options);
      case 'list':
        return listTokens(context);
      case 'revoke':
        return revokeTokens(context, args);
      default: {
        const given = action === undefined ? 'nothing is said' : `there is no ${JSON.stringify(action)}`;
        throw new UsageError(`Cannot tell what to do as ${given}: known are create, list and revoke`, { hint: EXAMPLE });
      }
    }
  },
});

async function createToken(context: CommandContext, args: readonly string[], options: ValuesOf<typeof OPTIONS>): Promise<number> {
  const { io, output = 'table', signal } = context;
  const request = toRequest(args, options);
  const client = await context.connectAuth();
  const made = await client.createToken(request, signal);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, made));
    return 0;
  }
  const { expiresAt, node } = made.object.spec;
  const until = expiresAt === undefined ? 'until it is revoked' : `until ${expiresAt}`;
  const end = `caractrl token revoke ${made.object.metadata.name}`;
  if (request.role === 'node' && output !== 'name') {
    const machines = request.uses === undefined || request.uses === 1 ? 'one machine' : `${request.uses} machines`;
    io.stderr.write(`Run this on the worker; it is shown this once, and good for ${machines} ${until} (${end} ends it):\n`);
    const [serverUrl] = client.serverUrl.split(',');
    const { caFingerprint } = client;
    io.stdout.write(
      `${describeJoin({ serverUrl: serverUrl ?? '', token: made.token, caFingerprint, ...(node !== undefined && { node }) })}\n`,
    );
    if (/^https?:\/\/(?:127\.|localhost\b|\[::1\])/u.test(client.serverUrl)) {
      io.stderr.write('note: SERVER_URL must be one that the worker reaches; this is the one that caractrl uses here\n');
    }
    return 0;
  }
  if (output !== 'name') {
    const authority = client.caFingerprint === undefined ? '' : ` --ca-fingerprint ${client.caFingerprint}`;
    io.stderr.write(
      `This is shown once; it is good ${until} (${end} ends it). Log in with: caractrl login ${client.serverUrl}${authority}\n`,
    );
  }
  io.stdout.write(`${made.token}\n`);
  return 0;
}

function toRequest(args: readonly string[], options: ValuesOf<typeof OPTIONS>): TokenRequest {
  const { role, user, allow, selector: labelSelector, namePrefix, ttl, node, uses } = options;
  if (args.length > 0 || role === undefined) {
    const why = role === undefined ? 'no role is given' : `it takes no ${JSON.stringify(args[0])}`;
    throw new UsageError(`Cannot make a token as ${why}: --role is admin, editor, viewer or node`, { hint: EXAMPLE });
  }
  if (uses !== undefined && !/^[1-9][0-9]{0,4}$/u.test(uses)) {
    throw new UsageError(`Cannot use --uses as it must be a whole number from 1 to 10000: current value is ${JSON.stringify(uses)}`);
  }
  const limit = { ...(labelSelector !== undefined && { labelSelector }), ...(namePrefix !== undefined && { namePrefix }) };
  return {
    role: role as TokenRequest['role'], // the server says which there are
    ...(user !== undefined && { user }),
    ...(allow.length > 0 && { rights: allow as NonNullable<TokenRequest['rights']> }),
    ...(Object.keys(limit).length > 0 && { limit }),
    ...(ttl !== undefined && { ttl }),
    ...(node !== undefined && { node }),
    ...(uses !== undefined && { uses: Number(uses) }),
  };
}

async function listTokens({ connectAuth, io, clock, output = 'table', signal }: CommandContext): Promise<number> {
  const client = await connectAuth();
  const tokens = await client.listTokens(signal);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, { kind: 'TokenList', items: tokens }));
  } else if (output === 'name') {
    io.stdout.write(tokens.map(({ metadata }) => `${metadata.name}\n`).join(''));
  } else {
    const nowMs = clock.wallMs();
    const rows = tokens.map((token) => [
      token.metadata.name,
      token.spec.role,
      token.spec.user ?? '-',
      describeLimits(token),
      ageOf(token.metadata.createdAt, nowMs),
      describeEnd(token, nowMs),
    ]);
    io.stdout.write(renderTable(['ID', 'ROLE', 'USER', 'LIMITS', 'AGE', 'ENDS'], rows, io.stdout));
  }
  return 0;
}

function describeLimits({ spec: { rights = [], limit, node } }: TokenObject): string {
  const parts = [
    ...rights.map((right) => `+${right}`),
    ...(limit?.namePrefix === undefined ? [] : [`${limit.namePrefix}*`]),
    ...(limit?.labelSelector === undefined ? [] : [limit.labelSelector]),
    ...(node === undefined ? [] : [`node ${node}`]),
  ];
  return parts.join(' ') || '-';
}

function describeEnd({ spec: { expiresAt }, status: { usesLeft } }: TokenObject, nowMs: number): string {
  const leftMs = expiresAt === undefined ? Infinity : Date.parse(expiresAt) - nowMs;
  if (leftMs <= 0 || usesLeft === 0) {
    return leftMs <= 0 ? 'expired' : 'used up';
  }
  const uses = usesLeft === undefined || usesLeft === 1 ? '' : `, ${usesLeft} uses`;
  return leftMs === Infinity ? `never${uses}` : `in ${formatAge(leftMs)}${uses}`;
}

async function revokeTokens({ connectAuth, io, output = 'table', signal }: CommandContext, given: readonly string[]): Promise<number> {
  if (given.length === 0) {
    throw new UsageError('Cannot tell which token to revoke as no id is given', { hint: 'caractrl token list shows them' });
  }
  const client = await connectAuth();
  for (const word of given) {
    const id = /^cara_(t[0-9a-f]{15})_/u.exec(word)?.[1] ?? word; // who pastes the whole token means it too
    const { spec } = await client.revokeToken(id, signal);
    io.stdout.write(output === 'name' ? `${id}\n` : `token ${id} of ${spec.user ?? 'joining machines'} revoked\n`);
  }
  return 0;
}
