/** caractrl describe: one object, whole, for people. */
import { ApiError } from '../../api/errors.ts';
import type { EventObject } from '../../api/event.ts';
import type { LinkReport } from '../../api/node/link-report.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { withDeadline } from '../../base/clock.ts';
import type { ListQuery } from '../../client/resource-client.ts';
import { type CommandContext, defineCommand, flag, selector } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { describeNode } from '../output/describe-node.ts';
import type { DescribeView } from '../output/describe-common.ts';
import { describeProject } from '../output/describe-project.ts';
import { describeSecret } from '../output/describe-secret.ts';
import { renderEvents } from '../output/event-columns.ts';
import { renderDocument, toDocument } from '../output/document.ts';
import { kindOf, readNamedSelections, readSelections, type ResourceType } from '../resource-type.ts';
import { notFound, resourceOf, type AnyObject } from '../resource-view.ts';
import { revealSecrets } from '../reveal.ts';

/** ms; a round trip takes some tens */
const LINK_MS = 2500;

export const describeCommand = defineCommand({
  name: 'describe',
  summary: 'Show everything about a Node, a Project or a Secret',
  args: 'TYPE NAME... | TYPE/NAME...',
  options: {
    selector: selector('those with these labels instead of names'),
    reveal: flag('show the values of Secrets'),
  },
  examples: [
    { command: 'caractrl describe node worker-01', does: 'state, conditions with ages, resources, the Projects on it' },
    { command: 'caractrl describe project shop', does: 'phase and why, services, ports, conditions' },
    { command: 'caractrl describe projects -l team=web', does: 'by label' },
    { command: 'caractrl describe secret shop --reveal', does: 'keys, sizes, what uses it, and its values' },
  ],
  run: async (context, args, { selector, reveal }) => {
    const found = await readObjects(context, args, selector);
    const objects = reveal ? await revealSecrets(context, found) : found;
    const { io, output, clock } = context;
    if (output === 'json' || output === 'yaml') {
      io.stdout.write(await renderDocument(output, toDocument(objects, { isSingle: true, listKind: 'List' })));
      return 0;
    }
    const view = { screen: io.stdout, nowMs: clock.wallMs() };
    const texts = await Promise.all(
      objects.map(async (object) => {
        const [text, events] = await Promise.all([describe(context, object, view), eventsOf(context, object)]);
        return text + renderEvents(events, view);
      }),
    );
    io.stdout.write(texts.join('\n\n'));
    return 0;
  },
});

async function describe(context: CommandContext, object: AnyObject, view: DescribeView): Promise<string> {
  switch (object.kind) {
    case 'Node':
      return await describeOneNode(context, object, view);
    case 'Project':
      return describeProject(object, view);
    case 'Secret':
      return describeSecret(object, await listProjects(context, {}), view);
    default:
      return object satisfies never;
  }
}

async function describeOneNode(context: CommandContext, node: NodeObject, view: DescribeView): Promise<string> {
  const { name } = node.metadata;
  const [projects, link] = await Promise.all([listProjects(context, { nodeRef: name }), measureLink(context, node)]);
  return describeNode(node, { projects, link }, view);
}

/** undefined where it cannot be told in time: nobody waits for a node that is away to be described. */
async function measureLink({ connect, clock, signal }: CommandContext, { metadata, status }: NodeObject): Promise<LinkReport | undefined> {
  if (status.network === undefined || status.lastHeartbeat === undefined) {
    return undefined;
  }
  using deadline = withDeadline(clock, LINK_MS, signal);
  try {
    return await (await connect()).measureLink(metadata.name, deadline.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (deadline.signal.aborted || error instanceof ApiError) {
      return undefined; // an older server, or a node that does not answer
    }
    throw error;
  }
}

async function readObjects(context: CommandContext, args: readonly string[], selector: string | undefined): Promise<readonly AnyObject[]> {
  const { connect, io, signal } = context;
  const selections = selector === undefined ? readNamedSelections(args, 'describe') : readSelections(args, 'describe');
  if (selector !== undefined && selections.some(({ names }) => names.length > 0)) {
    throw new UsageError('Cannot both name resources and select them: leave out the names or --selector');
  }
  const client = await connect();
  const objects: AnyObject[] = [];
  for (const { type, names } of selections) {
    if (selector !== undefined) {
      const { items } = await resourceOf(client, type).list({ labelSelector: selector }, signal);
      objects.push(...items);
      io.stderr.write(items.length === 0 ? `No ${kindOf(type)} matches ${selector}\n` : '');
    }
    for (const name of names) {
      objects.push(await find(context, type, name));
    }
  }
  return objects;
}

async function find({ connect, signal }: CommandContext, type: ResourceType, name: string): Promise<AnyObject> {
  const object = await resourceOf(await connect(), type).find(name, signal);
  if (object === undefined) {
    throw notFound(type, name);
  }
  return object;
}

async function eventsOf({ connect, signal }: CommandContext, { kind, metadata }: AnyObject): Promise<readonly EventObject[]> {
  const client = await connect();
  return (await client.events.list({ object: `${kind}/${metadata.name}` }, signal)).items;
}

async function listProjects({ connect, signal }: CommandContext, query: ListQuery): Promise<readonly ProjectObject[]> {
  const client = await connect();
  return (await client.projects.list(query, signal)).items;
}
