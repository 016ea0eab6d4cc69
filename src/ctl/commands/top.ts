/** caractrl top: what nodes, Projects and services use; of nodes also what is asked for and left. */
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ResourceClient } from '../../client/resource-client.ts';
import { type CommandContext, defineCommand, flag, selector, text } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { listNodeUsage } from '../node-usage.ts';
import { renderDocument } from '../output/document.ts';
import { toPrintable } from '../output/printable.ts';
import { notFound } from '../resource-view.ts';
import { documentOfNodes, tableOfNodes, type NodeRow } from '../top/node-view.ts';
import { Sampler, type Round } from '../top/sampler.ts';
import { renderFitting, showLive, type Table } from '../top/screen.ts';
import { readTopSelection, type TopSelection } from '../top/selection.ts';
import { documentOfServices, listProjects, listServices, tableOfProjects, tableOfServices, type ServiceRow } from '../top/service-view.ts';
import { readSortKey, sortByUse, type SortKey } from '../top/sort-use.ts';
import { deriveNodeUse, UNKNOWN_USE } from '../top/use.ts';

const SAMPLE_MS = 1000; // between two samples: what is shown is the mean of it
const REFRESH_MS = 2000;

export const topCommand = defineCommand({
  name: 'top',
  summary: 'Show what Nodes, Projects and services use, and what is left',
  args: 'nodes|projects|services [NAME...]',
  options: {
    selector: selector('only nodes, or Projects, with these labels'),
    sortBy: text('key', 'cpu, memory, network or disk: what uses most first [name]'),
    stream: flag('on a terminal: go on showing it, until Ctrl-C', { default: true }),
  },
  examples: [
    { command: 'caractrl top nodes', does: 'what is used, and what the Projects placed there request, of what is allocatable' },
    { command: 'caractrl top services --sort-by memory', does: 'every service, what uses most memory first' },
    { command: 'caractrl top services shop', does: 'those of one Project' },
    { command: 'caractrl top projects --no-stream', does: 'once, also on a terminal' },
    { command: 'caractrl top nodes -o json', does: 'for programs: as quantities, and bytes a second' },
  ],
  run: async (context, args, { selector: labels, sortBy, stream }) => {
    const selection = readTopSelection(args);
    if (selection.names.length > 0 && labels !== undefined) {
      throw new UsageError(`Cannot both name ${selection.kind} and select them: leave out the names or --selector`);
    }
    const client = await context.connect();
    const view = createView(client, { selection, labels, sortKey: readSortKey(sortBy) });
    const { output = 'table', io } = context;
    const isLive = stream && io.stdout.isTerminal && (output === 'table' || output === 'wide');
    return isLive ? await showOn(context, client, view) : await showOnce(context, client, view);
  },
});

/** What is shown of a kind of things. */
interface View {
  /** Reads what there is to tell of; the nodes are those that have to be asked. */
  read(signal: AbortSignal): Promise<Subject>;
}

interface Subject {
  readonly nodes: readonly string[];
  present(round: Round): Presented;
}

interface Presented {
  readonly names: readonly string[];
  readonly table: Table;
  readonly document: object;
}

interface ViewOptions {
  readonly selection: TopSelection;
  readonly labels: string | undefined;
  readonly sortKey: SortKey;
}

function createView(client: CaraClient, options: ViewOptions): View {
  const query = options.labels === undefined ? {} : { labelSelector: options.labels };
  return {
    read: async (signal) =>
      options.selection.kind === 'nodes'
        ? await readNodes(client, options, signal)
        : await readProjects(client, { ...options, query }, signal),
  };
}

async function readNodes(
  client: CaraClient,
  { selection: { names }, labels, sortKey }: ViewOptions,
  signal: AbortSignal,
): Promise<Subject> {
  const query = labels === undefined ? {} : { labelSelector: labels };
  const nodes = names.length === 0 ? (await client.nodes.list(query, signal)).items : await findAll('node', client.nodes, names, signal);
  const [only] = nodes;
  const { items: projects } =
    nodes.length === 0
      ? { items: [] }
      : await client.projects.list(nodes.length === 1 && only !== undefined ? { nodeRef: only.metadata.name } : {}, signal);
  return {
    nodes: nodes.filter(({ status }) => status.state !== 'NotReady').map(({ metadata }) => metadata.name),
    present: ({ samples }) => {
      const rows = listNodeUsage(nodes, projects).map((usage): NodeRow => {
        const { name } = usage.node.metadata;
        const both = samples.get(name);
        return { name, usage, use: both === undefined ? UNKNOWN_USE : deriveNodeUse(both) };
      });
      const sorted = sortByUse(rows, sortKey);
      return { names: sorted.map(({ name }) => `node/${name}`), table: tableOfNodes(sorted), document: documentOfNodes(sorted) };
    },
  };
}

interface ProjectOptions extends ViewOptions {
  readonly query: { readonly labelSelector?: string };
}

async function readProjects(client: CaraClient, { selection, query, sortKey }: ProjectOptions, signal: AbortSignal): Promise<Subject> {
  const { kind, names } = selection;
  const wanted = [...new Set(names.map((name) => name.split('/', 1)[0] ?? ''))];
  const projects =
    wanted.length === 0 ? (await client.projects.list(query, signal)).items : await findAll('project', client.projects, wanted, signal);
  const nodes = [...new Set(projects.flatMap(({ status }) => status.nodeRef ?? []))];
  const isWanted = (name: string): boolean => names.length === 0 || names.includes(name) || names.includes(name.split('/', 1)[0] ?? '');
  names.filter((name) => name.includes('/')).forEach((name) => checkService(projects, name));
  return {
    nodes,
    present: ({ samples }) => {
      const rows: readonly ServiceRow[] =
        kind === 'projects' ? listProjects(projects, samples) : listServices(projects, samples).filter(({ name }) => isWanted(name));
      const sorted = sortByUse(rows, sortKey);
      return {
        names: sorted.map(({ name }) => (kind === 'projects' ? `project/${name}` : name)),
        table: kind === 'projects' ? tableOfProjects(sorted) : tableOfServices(sorted),
        document: documentOfServices(sorted, kind === 'projects' ? 'ProjectUsageList' : 'ServiceUsageList'),
      };
    },
  };
}

function checkService(projects: readonly ProjectObject[], name: string): void {
  const [project, service] = name.split('/');
  const found = projects.find(({ metadata }) => metadata.name === project);
  if (found?.spec.services.some((one) => one.name === service) === false) {
    const known = found.spec.services.map((one) => one.name).join(', ');
    throw new ApiError(
      'NotFound',
      `Cannot find service ${JSON.stringify(service)} in project ${JSON.stringify(project)}: its services are ${known}`,
    );
  }
}

/** @throws {ApiError} NotFound */
async function findAll<Item>(
  type: 'node' | 'project',
  resource: ResourceClient<Item>,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Item[]> {
  return await Promise.all(
    names.map(async (name) => {
      const found = await resource.find(name, signal);
      if (found === undefined) {
        throw notFound(type, name);
      }
      return found;
    }),
  );
}

/** Two samples, a second apart, and what they tell. */
async function showOnce({ io, output = 'table', clock, signal }: CommandContext, client: CaraClient, view: View): Promise<number> {
  const sampler = new Sampler(client, clock);
  const subject = await view.read(signal);
  const first = await sampler.round(subject.nodes, signal);
  if (first.samples.size > 0) {
    await clock.sleep(SAMPLE_MS, signal);
  }
  const round = first.samples.size > 0 ? await sampler.round(subject.nodes, signal) : first;
  round.problems.forEach((problem) => io.stderr.write(`warning: ${toPrintable(problem)}\n`));
  const { names, table, document } = subject.present(round);
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, document));
  } else if (output === 'name') {
    io.stdout.write(names.map((name) => `${name}\n`).join(''));
  } else if (names.length === 0) {
    io.stderr.write('Nothing found\n');
  } else {
    io.stdout.write(renderFitting(table, io.stdout));
  }
  return 0;
}

const CLEAR = '\u001B[2J';

/** Until the signal aborts; over a server that is away for a while. */
async function showOn({ io, clock, signal }: CommandContext, client: CaraClient, view: View): Promise<number> {
  const sampler = new Sampler(client, clock);
  let shown: Presented | undefined;
  for (let count = 0; ; count += 1) {
    let remarks: readonly string[] = [];
    try {
      const subject = await view.read(signal);
      const round = await sampler.round(subject.nodes, signal);
      shown = subject.present(round);
      remarks = round.problems.map((problem) => `warning: ${problem}`);
    } catch (error) {
      signal.throwIfAborted();
      if (shown === undefined || !(error instanceof ApiError) || !error.isRetryable) {
        throw error;
      }
      remarks = [`warning: ${error.message}; trying again`];
    }
    if (count === 0) {
      io.stdout.write(CLEAR);
    }
    showLive(shown.table, remarks, io.stdout);
    await clock.sleep(count === 0 ? SAMPLE_MS : REFRESH_MS, signal);
  }
}
