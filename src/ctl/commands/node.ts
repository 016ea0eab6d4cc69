/** caractrl node: what is done to a Node that is no change of its manifest. */
import type { AuthClient } from '../../client/auth-client.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { readNodeNames } from '../cordon-node.ts';
import { UsageError } from '../ctl-error.ts';
import { ageOf } from '../output/age.ts';
import { renderDocument, toDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';
import { notFound } from '../resource-view.ts';

export const nodeCommand = defineCommand({
  name: 'node',
  summary: 'Say which machines may join, and let another have the name of a Node',
  args: 'joined | approve NODE... | reject NODE... | reset-identity NODE...',
  options: {},
  examples: [
    { command: 'caractrl node joined', does: 'the machines that have joined, and those that wait to be approved' },
    { command: 'caractrl node approve worker-01', does: 'let in a machine that waits (cara-server --approve)' },
    { command: 'caractrl node reject worker-01', does: 'let in that machine no more; its Node stays' },
    {
      command: 'caractrl node reset-identity worker-01',
      does: 'after reinstalling the machine: the next agent that starts as worker-01 gets in',
    },
  ],
  run: async (context, [action, ...args]) => {
    switch (action ?? '') {
      case 'joined':
        return listJoined(context);
      case 'approve':
        return forEachNode(context, readNodeNames(args, 'approve'), {
          act: (client, name) => client.approveNode(name, context.signal),
          told: 'approved: its agent gets in within seconds',
        });
      case 'reject':
        return forEachNode(context, readNodeNames(args, 'reject'), {
          act: (client, name) => client.removeNodeKey(name, context.signal),
          told: 'rejected: its agent needs another join token',
        });
      case 'reset-identity':
        return resetIdentities(context, readNodeNames(args, 'reset'));
      default: {
        const given = action === undefined ? 'nothing is said' : `there is no ${JSON.stringify(action)}`;
        throw new UsageError(`Cannot tell what to do to the node as ${given}: known are joined, approve, reject and reset-identity`, {
          hint: 'caractrl node reset-identity NODE',
        });
      }
    }
  },
});

async function listJoined({ connectAuth, io, clock, output = 'table', signal }: CommandContext): Promise<number> {
  const client = await connectAuth();
  const keys = await client.listNodeKeys(signal);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, { kind: 'NodeKeyList', items: keys }));
  } else if (output === 'name') {
    io.stdout.write(keys.map(({ name }) => `node/${name}\n`).join(''));
  } else if (keys.length === 0) {
    io.stderr.write('No machine has joined: caractrl token create --role node prints what to run on one\n');
  } else {
    const rows = keys.map(({ name, state, hostname = '-', address = '-', fingerprint, joinedAt }) => [
      name,
      { text: state, tone: state === 'Approved' ? ('plain' as const) : ('bad' as const) },
      hostname,
      address,
      ageOf(joinedAt, clock.wallMs()),
      fingerprint,
    ]);
    io.stdout.write(renderTable(['NODE', 'STATE', 'HOSTNAME', 'FROM', 'AGE', 'KEY'], rows, io.stdout));
  }
  return 0;
}

interface NodeAct {
  readonly act: (client: AuthClient, name: string) => Promise<unknown>;
  readonly told: string;
}

async function forEachNode(
  { connectAuth, io, output = 'table' }: CommandContext,
  names: readonly string[],
  { act, told }: NodeAct,
): Promise<number> {
  const client = await connectAuth();
  for (const name of names) {
    await act(client, name);
    io.stdout.write(output === 'name' ? `node/${name}\n` : `node/${name} ${told}\n`);
  }
  return 0;
}

async function resetIdentities({ connect, io, output = 'table', signal }: CommandContext, names: readonly string[]): Promise<number> {
  const client = await connect();
  const nodes = [];
  for (const name of names) {
    if ((await client.nodes.find(name, signal)) === undefined) {
      throw notFound('node', name);
    }
    nodes.push(await client.resetIdentity(name, signal));
    if (output === 'table' || output === 'wide') {
      io.stdout.write(`node/${name} identity reset: the next machine that registers under this name gets it\n`);
    }
  }
  if (output === 'name') {
    io.stdout.write(names.map((name) => `node/${name}\n`).join(''));
  } else if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, toDocument(nodes, { isSingle: names.length === 1, listKind: 'NodeList' })));
  }
  return 0;
}
