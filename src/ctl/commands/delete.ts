/** caractrl delete: removes objects, and waits until Projects are really gone. */
import { findCondition } from '../../api/condition.ts';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { defineCommand, duration, flag, list, selector, type CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { readDeleteTargets, type DeleteTarget } from '../delete-targets.ts';
import { reportFailure } from '../report-failure.ts';
import { notFound, resourceOf } from '../resource-view.ts';
import { readVolumeNames } from '../volume-name.ts';

/** What becomes of containers whose Project has no record any more. */
const REMOVAL = 'the agent there removes them some three minutes after it hears from the server again';

interface DeleteOptions {
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly selector: string | undefined;
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly timeout: number;
  readonly force: boolean;
  readonly ignoreNotFound: boolean;
  readonly yes: readonly string[];
}

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'Remove Nodes, Projects, Secrets or volumes; waits until they are gone',
  args: 'TYPE NAME... | TYPE/NAME... | TYPE[,TYPE] -l SELECTOR | volume NODE/NAME... | -f FILE',
  options: {
    filename: list('file', 'what the manifests in this file, folder or - describe', 'f'),
    recursive: flag('look into the folders of folders too', { short: 'R' }),
    selector: selector('all of the types with these labels: team=web,tier!=prod,arch in (arm64,amd64),gpu,!spot'),
    wait: flag('wait until Projects and volumes are gone from their nodes', { default: true }),
    timeout: duration('how long to wait at most; 0s: no limit', '15m'),
    force: flag(`drop the record at once; containers that still run are left, and ${REMOVAL}`),
    dryRun: flag('only say what would go'),
    ignoreNotFound: flag('what is not there is no failure'),
    yes: list('name', 'of a volume, repeated: delete it and its data without asking'),
  },
  examples: [
    { command: 'caractrl delete project shop', does: 'stop and remove a Project, and wait until it is gone' },
    { command: 'caractrl delete project shop --wait=false', does: 'only ask for it' },
    { command: 'caractrl delete node worker-01', does: 'forget a machine; what runs there is not touched' },
    { command: 'caractrl delete -f shop/', does: 'all that a folder describes' },
    { command: 'caractrl delete projects -l team=web --dry-run', does: 'which Projects have a label; without --dry-run they go' },
    { command: 'caractrl delete project shop --force', does: 'where the node never comes back' },
    { command: 'caractrl delete volume worker-01/cara_shop_data', does: 'a volume and its data for good; asks for the name' },
  ],
  run: runDelete,
});

async function runDelete(context: CommandContext, args: readonly string[], options: DeleteOptions): Promise<number> {
  const volumes = options.filename.length === 0 ? readVolumeNames(args, 'delete') : undefined;
  if (volumes !== undefined) {
    if (options.selector !== undefined) {
      throw new UsageError('Cannot select volumes by labels: name each, as its data goes for good', { hint: 'caractrl get volumes' });
    }
    const { deleteVolumes } = await import('../delete-volumes.ts');
    return deleteVolumes(context, volumes, options);
  }
  if (options.yes.length > 0) {
    throw new UsageError('Cannot use --yes with anything but volumes: nothing else is asked for');
  }
  const targets = await readDeleteTargets(context, args, options);
  // what was selected and is gone by the time its turn comes has gone as was asked for
  const settled = { ...options, ignoreNotFound: options.ignoreNotFound || options.selector !== undefined };
  const going: ProjectObject[] = [];
  let failures = 0;
  for (const target of targets) {
    try {
      const project = await deleteOne(context, target, settled);
      if (project !== undefined) {
        going.push(project);
      }
    } catch (error) {
      if (!hasReason(error, 'NotFound', 'Conflict', 'Forbidden', 'Invalid')) {
        throw error;
      }
      failures += 1;
      reportFailure(error, { stderr: context.io.stderr, output: context.output, env: {} });
    }
  }
  if (going.length > 0) {
    const { waitUntilGone } = await import('../waiting/wait-gone.ts');
    await waitUntilGone(context, {
      projects: going,
      timeoutMs: options.timeout === 0 ? Infinity : options.timeout,
      onGone: (last) => {
        printResult(context, { type: 'project', name: last.metadata.name }, 'deleted');
        if (findCondition(last.status.conditions, 'NodeReachable')?.status === 'False') {
          warnOfContainers(context, last); // let go of by the server's timeout: nobody has confirmed anything
        }
      },
    });
  }
  return failures === 0 ? 0 : 1;
}

/** @returns the Project while it is still going and is to be waited for */
async function deleteOne(context: CommandContext, target: DeleteTarget, options: DeleteOptions): Promise<ProjectObject | undefined> {
  const { type, name } = target;
  const client = await context.connect();
  const resource = resourceOf(client, type);
  try {
    if (type === 'node') {
      await warnOfProjects(context, name);
    }
    if (options.dryRun) {
      await resource.get(name, context.signal);
      printResult(context, target, 'would be deleted (dry run)');
      return undefined;
    }
    const dropped = type === 'project' && options.force ? await client.projects.find(name, context.signal) : undefined;
    const force = options.force && type !== 'secret'; // which is gone at once anyway
    const { isGone, object, warnings } = await resource.delete(name, { force }, context.signal);
    context.io.stderr.write(warnings.map((warning) => `warning: ${type}/${name}: ${warning}\n`).join(''));
    if (isGone) {
      printResult(context, target, force ? 'deleted by force' : 'deleted');
      warnOfContainers(context, dropped);
      return undefined;
    }
    if (!options.wait) {
      printResult(context, target, 'is being deleted');
      return undefined;
    }
    const current = object ?? (await resource.find(name, context.signal));
    if (current === undefined) {
      printResult(context, target, 'deleted');
    }
    return current?.kind === 'Project' ? current : undefined;
  } catch (error) {
    if (!hasReason(error, 'NotFound')) {
      throw error;
    }
    if (!options.ignoreNotFound) {
      throw notFound(type, name);
    }
    return undefined;
  }
}

/** Says on stderr which Projects are on a node that goes, and what becomes of them. Says nothing where that cannot be told. */
async function warnOfProjects({ connect, io, signal }: CommandContext, name: string): Promise<void> {
  const client = await connect();
  let node: NodeObject | undefined;
  let projects: readonly ProjectObject[];
  try {
    node = await client.nodes.find(name, signal);
    projects = (await client.projects.list({ nodeRef: name }, signal)).items;
  } catch (error) {
    if (error instanceof ApiError && error.reason !== 'Unavailable') {
      return; // deleting always works, so a list that is refused must not stop it
    }
    throw error;
  }
  if (node === undefined || projects.length === 0) {
    return;
  }
  const count = projects.length === 1 ? 'a Project' : `${projects.length} Projects`;
  const names = projects.map(({ metadata, status }) => `${metadata.name} (${status.phase})`).join(', ');
  io.stderr.write(
    `warning: node/${name} still has ${count}: ${names}\n` +
      'warning: what runs there is not touched; once the heartbeats have been gone for the timeout, such Projects become Failed (NodeLost),\n' +
      'warning: and Running again when the node comes back with their containers\n',
  );
}

/** A record dropped without its node's word leaves behind what its node has not confirmed to be gone. */
function warnOfContainers({ io }: CommandContext, dropped: ProjectObject | undefined): void {
  const nodeRef = dropped?.status.nodeRef;
  if (nodeRef !== undefined) {
    io.stderr.write(`warning: its containers may still run on ${nodeRef}: ${REMOVAL}\n`);
  }
}

function printResult({ io, output = 'table' }: CommandContext, { type, name }: DeleteTarget, words: string): void {
  if (output === 'name') {
    io.stdout.write(`${type}/${name}\n`);
  } else if (output !== 'json' && output !== 'yaml') {
    io.stdout.write(`${type}/${name} ${words}\n`);
  }
}
