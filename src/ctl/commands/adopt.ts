/** caractrl adopt: takes into the control plane what nodes run on with after a restore though the restored state does not know it. */
import type { HeldView } from '../../api/project/held-project.ts';
import { defineCommand, flag, text, type CommandContext } from '../command.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { ageOf } from '../output/age.ts';
import { renderDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';

interface AdoptOptions {
  readonly node: string | undefined;
  readonly all: boolean;
}

export const adoptCommand = defineCommand({
  name: 'adopt',
  summary: 'After a restore: list what runs on though the restored state does not know it, and take it in',
  args: '[PROJECT...]',
  options: {
    node: text('node', 'only what this node holds'),
    all: flag('all of it; with --node, all that this node holds'),
  },
  examples: [
    { command: 'caractrl adopt', does: 'what there is to adopt' },
    { command: 'caractrl adopt shop', does: 'the Project as its node runs it; nothing is restarted' },
    { command: 'caractrl adopt --all --node worker-01', does: 'all that worker-01 holds' },
  ],
  run: async (context, args, options: AdoptOptions) => {
    if (options.all && args.length > 0) {
      throw new UsageError('Cannot adopt both all and what is named: give names or --all', { hint: 'caractrl adopt [PROJECT...]' });
    }
    const client = await context.connect();
    const found = await client.held.list(context.signal);
    const there = options.node === undefined ? found : found.filter(({ node }) => node === options.node);
    if (args.length === 0 && !options.all) {
      return await show(context, there);
    }
    const chosen = options.all ? there : args.flatMap((word) => choose(there, word.replace(/^proj(?:ects?)?\//u, '')));
    return await adopt(context, chosen);
  },
});

/** @throws {CtlError} when nobody, or more than one node, holds it */
function choose(there: readonly HeldView[], project: string): readonly HeldView[] {
  const found = there.filter((view) => view.project === project);
  if (found.length === 0) {
    throw new CtlError(`Cannot adopt project ${JSON.stringify(project)} as no node holds it: see caractrl adopt for what there is`);
  }
  if (found.length > 1) {
    throw new CtlError(
      `Cannot tell which project ${JSON.stringify(project)} to adopt as ${found.map(({ node }) => node).join(' and ')} hold one`,
      {
        hint: `caractrl adopt ${project} --node NODE`,
      },
    );
  }
  return found;
}

async function show({ io, output = 'table', clock }: CommandContext, there: readonly HeldView[]): Promise<number> {
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, { items: there }));
    return 0;
  }
  if (output === 'name') {
    there.forEach(({ project }) => io.stdout.write(`project/${project}\n`));
    return 0;
  }
  if (there.length === 0) {
    io.stderr.write('Nothing to adopt: every node runs what the control plane knows.\n');
    return 0;
  }
  const rows = there.map(({ project, node, reason, heldSince, services, message }) => [
    project,
    node,
    reason,
    ageOf(heldSince, clock.wallMs()),
    services.join(','),
    message,
  ]);
  io.stdout.write(renderTable(['PROJECT', 'NODE', 'REASON', 'HELD', 'SERVICES', 'MESSAGE'], rows, io.stdout));
  return 0;
}

async function adopt({ io, output = 'table', connect, signal }: CommandContext, chosen: readonly HeldView[]): Promise<number> {
  const client = await connect();
  for (const { project, node } of chosen) {
    const adopted = await client.held.adopt(node, project, signal);
    if (output === 'json' || output === 'yaml') {
      io.stdout.write(await renderDocument(output, adopted));
    } else {
      io.stdout.write(output === 'name' ? `project/${project}\n` : `project/${project} adopted on ${node}\n`);
    }
  }
  if (chosen.length === 0) {
    io.stderr.write('Nothing to adopt: every node runs what the control plane knows.\n');
  }
  return 0;
}
