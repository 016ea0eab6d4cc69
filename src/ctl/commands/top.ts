/** caractrl top: what is asked for on each node against what is left. */
import type { NodeObject } from '../../api/node.ts';
import { type CommandContext, defineCommand, selector } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { listNodeUsage, type NodeUsage, type ResourceUsage } from '../node-usage.ts';
import { renderDocument } from '../output/document.ts';
import { toneOf } from '../output/paint.ts';
import { renderTable, type Cell } from '../output/table.ts';
import { formatAmount, formatPercent, leftCell } from '../output/usage.ts';
import { readSelections } from '../resource-type.ts';
import { notFound } from '../resource-view.ts';

export const topCommand = defineCommand({
  name: 'top',
  summary: 'Show what is asked for on each Node, and what is left',
  args: 'nodes [NAME...]',
  options: { selector: selector('only nodes with these labels') },
  examples: [
    { command: 'caractrl top nodes', does: 'CPU, memory and disk: what the Projects placed there request, of what is allocatable' },
    { command: 'caractrl top node worker-01', does: 'one node' },
    { command: 'caractrl top nodes -o json', does: 'for programs: as quantities' },
  ],
  run: async (context, args, { selector }) => {
    const names = readNames(args);
    if (names.length > 0 && selector !== undefined) {
      throw new UsageError('Cannot both name nodes and select them: leave out the names or --selector');
    }
    const nodes = await readNodes(context, names, selector);
    const client = await context.connect();
    const [only] = nodes;
    const query = nodes.length === 1 && only !== undefined ? { nodeRef: only.metadata.name } : {};
    const { items: projects } = nodes.length === 0 ? { items: [] } : await client.projects.list(query, context.signal);
    await print(context, listNodeUsage(nodes, projects));
    return 0;
  },
});

function readNames(args: readonly string[]): readonly string[] {
  const selections = readSelections(args.length === 0 ? ['nodes'] : args, 'top');
  if (selections.some(({ type }) => type !== 'node')) {
    throw new UsageError('Cannot show the usage of anything but nodes', { hint: 'caractrl top nodes' });
  }
  return selections.flatMap((selection) => selection.names);
}

async function readNodes(
  { connect, signal }: CommandContext,
  names: readonly string[],
  selector: string | undefined,
): Promise<readonly NodeObject[]> {
  const { nodes } = await connect();
  if (names.length === 0) {
    return (await nodes.list(selector === undefined ? {} : { labelSelector: selector }, signal)).items;
  }
  return Promise.all(
    names.map(async (name) => {
      const node = await nodes.find(name, signal);
      if (node === undefined) {
        throw notFound('node', name);
      }
      return node;
    }),
  );
}

async function print({ io, output = 'table' }: CommandContext, usages: readonly NodeUsage[]): Promise<void> {
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, { apiVersion: 'caravanserai/v1', kind: 'NodeUsageList', items: usages.map(toDocument) }));
  } else if (output === 'name') {
    io.stdout.write(usages.map(({ node }) => `node/${node.metadata.name}\n`).join(''));
  } else if (usages.length === 0) {
    io.stderr.write('No nodes found\n');
  } else {
    io.stdout.write(renderTable(HEADERS, usages.map(toRow), io.stdout));
  }
}

const HEADERS = ['NAME', 'STATE', ...['CPU', 'MEMORY', 'DISK'].flatMap((name) => [`${name} ASKED`, 'OF', 'LEFT', '%']), 'PROJECTS'];

function toRow({ node, projectCount, resources }: NodeUsage): readonly Cell[] {
  const { state } = node.status;
  return [
    node.metadata.name,
    { text: state, tone: toneOf(state) },
    ...resources.flatMap((usage) => [
      formatAmount(usage.resource, usage.asked),
      formatAmount(usage.resource, usage.allocatable),
      leftCell(usage),
      formatPercent(usage),
    ]),
    String(projectCount),
  ];
}

/** Amounts as quantities, exact; what the node does not report is left out. */
function toDocument({ node, projectCount, resources }: NodeUsage): object {
  const { name } = node.metadata;
  return {
    name,
    state: node.status.state,
    projects: projectCount,
    resources: Object.fromEntries(resources.map((usage) => [usage.resource.name, toQuantities(usage)])),
  };
}

function toQuantities({ resource: { write }, asked, allocatable, left, percent }: ResourceUsage): object {
  return {
    asked: write(asked),
    ...(allocatable !== undefined && { allocatable: write(allocatable) }),
    ...(left !== undefined && { left: left < 0 ? `-${write(-left)}` : write(left) }),
    ...(percent !== undefined && { percent }),
  };
}
