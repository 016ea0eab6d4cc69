/** caractrl node: what is done to a Node that is no change of its manifest. */
import { defineCommand, type CommandContext } from '../command.ts';
import { readNodeNames } from '../cordon-node.ts';
import { UsageError } from '../ctl-error.ts';
import { renderDocument, toDocument } from '../output/document.ts';
import { notFound } from '../resource-view.ts';

export const nodeCommand = defineCommand({
  name: 'node',
  summary: "Let another machine have a Node's name",
  args: 'reset-identity NODE...',
  options: {},
  examples: [
    {
      command: 'caractrl node reset-identity worker-01',
      does: 'after reinstalling the machine: the next agent that starts as worker-01 gets in',
    },
  ],
  run: async (context, [action, ...args]) => {
    if (action !== 'reset-identity') {
      const given = action === undefined ? 'nothing is said' : `there is no ${JSON.stringify(action)}`;
      throw new UsageError(`Cannot tell what to do to the node as ${given}: known is reset-identity`, {
        hint: 'caractrl node reset-identity NODE',
      });
    }
    return resetIdentities(context, readNodeNames(args, 'reset'));
  },
});

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
