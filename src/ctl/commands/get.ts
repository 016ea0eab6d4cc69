/** caractrl get: lists of resources, or some by name. */
import { ApiError } from '../../api/errors.ts';
import type { ProjectPhase } from '../../api/project.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ListQuery } from '../../client/resource-client.ts';
import { type CommandContext, defineCommand, flag, list, selector, text } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { renderDocument, toDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';
import { isWordFor, kindOf, pluralOf, readSelections, type Selection } from '../resource-type.ts';
import { notFound, resourceOf, tableOf, type AnyObject } from '../resource-view.ts';
import { revealSecrets } from '../reveal.ts';
import { readVolumeNames } from '../volume-name.ts';

// Not imported from api/project.ts: that brings the schemas with it, 30 ms of a command that should take 60.
const PHASES: readonly ProjectPhase[] = ['Pending', 'Scheduled', 'Running', 'Failed', 'Terminating', 'Terminated'];

interface GetOptions {
  readonly selector: string | undefined;
  readonly phase: readonly string[];
  readonly node: string | undefined;
  readonly watch: boolean;
  readonly reveal: boolean;
  readonly showLabels: boolean;
  readonly headers: boolean;
}

export const getCommand = defineCommand({
  name: 'get',
  summary: 'List Nodes, Projects, Secrets, volumes or servers',
  args: 'TYPE[,TYPE] [NAME...] | TYPE/NAME... | volumes [NODE/NAME...] | servers',
  options: {
    selector: selector('only those with these labels: zone=ed312,tier!=dev,arch in (arm64,amd64),gpu,!spot'),
    phase: list('phase', `only Projects in this phase: ${PHASES.join(', ')}`),
    node: text('name', 'only Projects, or volumes, on this node'),
    watch: flag('then show each change, until Ctrl-C', { short: 'w' }),
    showLabels: flag('with a column of their labels'),
    headers: flag('the first line of tables, which --no-headers leaves out', { default: true }),
    reveal: flag('with the values of the Secrets that are named; for -o json and -o yaml'),
  },
  examples: [
    { command: 'caractrl get nodes', does: 'all nodes' },
    { command: 'caractrl --output json get nodes worker-01', does: 'one node with all that is known of it' },
    { command: 'caractrl get projects --node worker-01 -o wide', does: 'the Projects on one node, with images and ports' },
    { command: 'caractrl get nodes -l caravanserai.io/zone=ed312', does: 'by label' },
    { command: 'caractrl get projects --phase Failed -w', does: 'failed Projects, as they come' },
    { command: 'caractrl get nodes,projects', does: 'both' },
    { command: 'caractrl get secret shop --reveal -o yaml', does: 'a Secret with its values, in base64' },
    { command: 'caractrl get servers', does: 'the servers of the control plane, and which of them leads' },
    { command: 'caractrl get volumes', does: 'what Projects keep on nodes, also those that were deleted' },
  ],
  run: runGet,
});

async function runGet(context: CommandContext, args: readonly string[], options: GetOptions): Promise<number> {
  const volumes = readVolumeNames(args, 'get');
  if (volumes !== undefined) {
    const { getVolumes } = await import('../get-volumes.ts');
    return getVolumes(context, volumes, options);
  }
  if (isWordFor('server', (args[0] ?? '').split('/', 1)[0] ?? '')) {
    const { getServers, readServerNames } = await import('../get-servers.ts');
    const servers = readServerNames(args);
    if (servers !== undefined) {
      return getServers(context, servers, options);
    }
  }
  const selections = readSelections(args, 'get');
  const query = readQuery(selections, options);
  if (options.reveal) {
    checkReveal(context, selections, options);
  }
  if (options.watch) {
    const { watchResources } = await import('../waiting/watch-resources.ts');
    return watchResources(context, selections, { query, ...options });
  }
  const client = await context.connect();
  const results = await Promise.all(
    selections.map(async (selection) => {
      const found = await read(client, selection, query, context.signal);
      return { ...selection, ...found, items: options.reveal ? await revealSecrets(context, found.items) : found.items };
    }),
  );
  await print(context, results, options);
  context.io.stderr.write(results.map(({ warnings }) => warnings.map((warning) => `warning: ${warning}\n`).join('')).join(''));
  const missing = results.flatMap((result) => result.missing);
  const [failure] = missing;
  if (failure !== undefined) {
    throw missing.length === 1 ? failure : new ApiError('NotFound', missing.map(({ message }) => message).join(', '));
  }
  return 0;
}

/** Values come out only of what was named, and never into a table, which has no place for them. @throws {UsageError} */
function checkReveal({ output }: CommandContext, selections: readonly Selection[], { watch }: GetOptions): void {
  const isNamed = selections.every(({ type, names }) => type === 'secret' && names.length > 0);
  if (!isNamed || watch || (output !== 'json' && output !== 'yaml')) {
    throw new UsageError('Cannot reveal values like this: name the Secrets, and use -o json or -o yaml', {
      hint: 'caractrl get secret NAME --reveal -o yaml, or caractrl describe secret NAME --reveal',
    });
  }
}

function readQuery(selections: readonly Selection[], { selector, phase, node }: GetOptions): ListQuery {
  if (selections.some(({ names }) => names.length > 0) && (selector !== undefined || phase.length > 0 || node !== undefined)) {
    throw new UsageError('Cannot both name resources and select them: leave out the names, or --selector, --phase and --node');
  }
  if ((phase.length > 0 || node !== undefined) && selections.some(({ type }) => type !== 'project')) {
    throw new UsageError('Cannot use --phase and --node with anything else: they select Projects', {
      hint: 'caractrl get projects --help',
    });
  }
  const phases = phase.map((word) => {
    const found = PHASES.find((candidate) => candidate.toLowerCase() === word.toLowerCase());
    if (found === undefined) {
      throw new UsageError(`Cannot use --phase ${JSON.stringify(word)} as it must be one of ${PHASES.join(', ')}`);
    }
    return found;
  });
  return {
    ...(selector !== undefined && { labelSelector: selector }),
    ...(phases.length > 0 && { phase: phases }),
    ...(node !== undefined && { nodeRef: node }),
  };
}

interface Result extends Selection {
  readonly items: readonly AnyObject[];
  readonly missing: readonly ApiError[];
  readonly warnings: readonly string[];
}

/** All, or those of the names that are there, in the order in which they were named. */
async function read(
  client: CaraClient,
  { type, names }: Selection,
  query: ListQuery,
  signal: AbortSignal,
): Promise<Pick<Result, 'items' | 'missing' | 'warnings'>> {
  const resource = resourceOf(client, type);
  if (names.length === 0) {
    const { items, warnings = [] } = await resource.list(query, signal);
    return { items, missing: [], warnings };
  }
  const found = await Promise.all(names.map(async (name) => ({ name, item: await resource.find(name, signal) })));
  return {
    items: found.flatMap(({ item }) => item ?? []),
    missing: found.flatMap(({ name, item }) => (item === undefined ? notFound(type, name) : [])),
    warnings: [],
  };
}

async function print(
  { io, output = 'table', clock }: CommandContext,
  results: readonly Result[],
  { showLabels, headers: hasHeader }: GetOptions,
): Promise<void> {
  if (output === 'name') {
    io.stdout.write(results.map(({ type, items }) => items.map(({ metadata }) => `${type}/${metadata.name}\n`).join('')).join(''));
    return;
  }
  if (output === 'json' || output === 'yaml') {
    const items = results.flatMap((result) => result.items);
    const isSingle = results.flatMap(({ names }) => names).length === 1;
    if (items.length > 0 || !isSingle) {
      const [first] = results;
      const listKind = results.length === 1 && first !== undefined ? `${kindOf(first.type)}List` : 'List';
      io.stdout.write(await renderDocument(output, toDocument(items, { isSingle, listKind })));
    }
    return;
  }
  for (const { type } of results.filter(({ items, missing }) => items.length + missing.length === 0)) {
    io.stderr.write(`No ${pluralOf(type)} found\n`);
  }
  const view = { isWide: output === 'wide', nowMs: clock.wallMs(), hasLabels: showLabels };
  const tables = results
    .filter(({ items }) => items.length > 0)
    .map(({ type, items }) => {
      const { headers, rows } = tableOf(type, items, view);
      return renderTable(headers, rows, io.stdout, { hasHeader });
    });
  io.stdout.write(tables.join(hasHeader ? '\n' : ''));
}
