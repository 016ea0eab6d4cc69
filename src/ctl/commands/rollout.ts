/** caractrl rollout: how changes of a Project go, what it was before, going back, and restarting. */
import type { ProjectObject } from '../../api/project.ts';
import type { ProjectRevision } from '../../api/project/revision.ts';
import { defineCommand, duration, flag, type CommandContext, type OptionSpec } from '../command.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { renderDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';
import { toPrintable } from '../output/printable.ts';
import { REVISION_COLUMNS } from '../output/revision-columns.ts';
import { findType } from '../resource-type.ts';
import { waitUntilRunning } from '../waiting/wait-running.ts';

interface RolloutOptions {
  readonly revision: number | undefined;
  readonly toRevision: number | undefined;
  readonly wait: boolean;
  readonly watch: boolean;
  readonly timeout: number;
}

const ACTIONS = ['status', 'history', 'undo', 'restart'] as const;
type Action = (typeof ACTIONS)[number];

export const rolloutCommand = defineCommand({
  name: 'rollout',
  summary: 'Follow the change of a Project, see its history, go back, or restart its services',
  args: 'status|history|undo|restart PROJECT[/SERVICE]',
  options: {
    revision: revisionNumber('history: the spec of this one'),
    toRevision: revisionNumber('undo: to this one; without it to the newest before that was good'),
    wait: flag('undo, restart: wait until it runs'),
    watch: flag('status: wait until it runs; --no-watch says how it is now', { default: true }),
    timeout: duration('how long to wait at most', '5m'),
  },
  examples: [
    { command: 'caractrl rollout status shop', does: 'wait until the latest change runs; exit 1 and the cause if it was rolled back' },
    { command: 'caractrl rollout history shop', does: 'the last ten specs, who asked for them and what became of them' },
    { command: 'caractrl rollout history shop --revision 3', does: 'what the third spec was' },
    { command: 'caractrl rollout undo shop --to-revision 3 --wait', does: 'ask for it again, and wait until it runs' },
    { command: 'caractrl rollout restart shop/web', does: 'a new container for one service; without a name, for all in their order' },
  ],
  run: async (context, [word, ...args], options) => {
    const action = readAction(word);
    const target = readTarget(action, args);
    switch (action) {
      case 'status':
        return await showStatus(context, target.project, options);
      case 'history':
        return await showHistory(context, target.project, options);
      case 'undo':
        return await undo(context, target.project, options);
      case 'restart':
        return await restart(context, target, options);
      default:
        return action satisfies never;
    }
  },
});

function revisionNumber(help: string): OptionSpec<number | undefined> {
  return {
    placeholder: 'number',
    help,
    default: undefined,
    read: (value) => {
      if (!/^[1-9][0-9]{0,14}$/u.test(value)) {
        throw new UsageError(
          `Cannot use the revision ${JSON.stringify(value)} as it must be a number: see caractrl rollout history PROJECT`,
        );
      }
      return Number(value);
    },
  };
}

/** @throws {UsageError} */
function readAction(word: string | undefined): Action {
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) {
    const given = word === undefined ? 'nothing is said' : `there is no ${JSON.stringify(word)}`;
    throw new UsageError(`Cannot tell what to do as ${given}: known are ${ACTIONS.join(', ')}`, {
      hint: 'caractrl rollout status PROJECT',
    });
  }
  return action;
}

interface RolloutTarget {
  readonly project: string;
  /** none: all */
  readonly services: readonly string[];
}

/** PROJECT, PROJECT/SERVICE, PROJECT SERVICE..., each also with the type before it. @throws {UsageError} */
function readTarget(action: Action, args: readonly string[]): RolloutTarget {
  const usage = `caractrl rollout ${action} PROJECT${action === 'restart' ? '[/SERVICE]' : ''}`;
  const words = args.flatMap((arg) => arg.split('/'));
  const [first = ''] = words;
  const isTyped = words.length > 1 && findType(first) !== undefined;
  if (isTyped && findType(first) !== 'project') {
    throw new UsageError(`Cannot use rollout ${action} on ${args.join(' ')} as only Projects are rolled out`, { hint: usage });
  }
  const [project = '', ...services] = isTyped ? words.slice(1) : words;
  if (project === '' || services.includes('')) {
    throw new UsageError('Cannot tell which Project is meant as no name is given', { hint: usage });
  }
  if (services.length > 0 && action !== 'restart') {
    throw new UsageError(`Cannot take ${JSON.stringify(services.join(' '))}: rollout ${action} is about one whole Project`, {
      hint: usage,
    });
  }
  return { project, services };
}

async function showStatus(context: CommandContext, name: string, { watch, timeout }: RolloutOptions): Promise<number> {
  const client = await context.connect();
  const project = await client.projects.get(name, context.signal);
  const { status } = project;
  if (watch || context.output === 'json' || context.output === 'yaml') {
    return await finish(context, project, { isWaiting: watch, timeoutMs: timeout, line: '' });
  }
  const reason = status.reason === undefined ? '' : ` (${status.reason})`;
  const good = status.goodGeneration === undefined ? 'none was good yet' : `revision ${status.goodGeneration} is the last good one`;
  context.io.stdout.write(`project/${name} ${status.phase}${reason}: revision ${project.metadata.generation} is asked for, ${good}\n`);
  return 0;
}

async function showHistory(
  { connect, io, clock, output = 'table', signal }: CommandContext,
  name: string,
  options: RolloutOptions,
): Promise<number> {
  const list = await (await connect()).rollouts.history(name, signal);
  const { revision } = options;
  const chosen = revision === undefined ? list.items : list.items.filter((item) => item.revision === revision);
  if (revision !== undefined && chosen.length === 0) {
    throw new CtlError(
      `Cannot show revision ${revision} of project ${JSON.stringify(name)} as there is none: known are ${list.items.map((item) => item.revision).join(', ')}`,
      { hint: `caractrl rollout history ${name}` },
    );
  }
  const [only] = chosen;
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, revision === undefined ? list : only));
  } else if (output === 'name') {
    io.stdout.write(chosen.map((item) => `project/${name}/${item.revision}\n`).join(''));
  } else if (revision !== undefined && only !== undefined) {
    io.stdout.write(`${describeRevision(only)}\n${toPrintable(await renderDocument('yaml', { spec: only.spec }))}`);
  } else {
    const columns = REVISION_COLUMNS;
    const rows = chosen.map((item) => columns.map((column) => column.cell(item, clock.wallMs())));
    io.stdout.write(
      renderTable(
        columns.map(({ header }) => header),
        rows,
        io.stdout,
      ),
    );
  }
  return 0;
}

function describeRevision({ project, revision, outcome, createdAt, cause, message }: ProjectRevision): string {
  const why = message === undefined ? '' : `\n# ${message.replaceAll('\n', '\n# ')}`;
  return toPrintable(`# project/${project} revision ${revision}: ${outcome}, ${cause} at ${createdAt}${why}`);
}

async function undo(context: CommandContext, name: string, { toRevision, wait, timeout }: RolloutOptions): Promise<number> {
  const client = await context.connect();
  const project = await client.rollouts.undo(name, toRevision === undefined ? {} : { toRevision }, context.signal);
  const { generation } = project.metadata;
  const what = /^undo to revision \d+/u.exec(project.status.change?.cause ?? '')?.[0].slice('undo to '.length) ?? 'an earlier revision';
  const line = `project/${name} goes back to ${what} (as revision ${generation})\n`;
  return await finish(context, project, { isWaiting: wait, timeoutMs: timeout, line });
}

async function restart(
  context: CommandContext,
  { project: name, services }: RolloutTarget,
  { wait, timeout }: RolloutOptions,
): Promise<number> {
  const client = await context.connect();
  const project = await client.rollouts.restart(name, services.length === 0 ? {} : { services: [...services] }, context.signal);
  const which = services.length === 0 ? '' : ` ${services.join(', ')}`;
  return await finish(context, project, { isWaiting: wait, timeoutMs: timeout, line: `project/${name}${which} restarting\n` });
}

interface Ending {
  readonly isWaiting: boolean;
  readonly timeoutMs: number;
  readonly line: string;
}

/** Says what was done, waits where that is wanted, and says how it came out. */
async function finish(context: CommandContext, project: ProjectObject, { isWaiting, timeoutMs, line }: Ending): Promise<number> {
  const { io, output = 'table' } = context;
  const { name } = project.metadata;
  const isTable = output === 'table' || output === 'wide';
  if (isTable) {
    io.stdout.write(line);
  }
  const [running = project] = isWaiting
    ? await waitUntilRunning(context, { projects: [project], timeoutMs, whenStopped: 'the rollout goes on' })
    : [];
  if (isTable && isWaiting) {
    const { generation } = running.metadata;
    io.stdout.write(`project/${name} runs revision ${generation} on ${running.status.nodeRef ?? 'its node'}\n`);
  } else if (output === 'name') {
    io.stdout.write(`project/${name}\n`);
  } else if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, running));
  }
  return 0;
}
