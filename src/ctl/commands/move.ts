/** caractrl move: one Project to another node, and waits until it runs there. */
import { formatDuration } from '../../api/duration.ts';
import { hasReason } from '../../api/errors.ts';
import { defineCommand, duration, flag, text, type CommandContext } from '../command.ts';
import { CtlError } from '../ctl-error.ts';
import type { MoveStage } from '../waiting/move-progress.ts';
import { renderDocument } from '../output/document.ts';
import { readProjectName } from '../project-name.ts';
import { waitUntilMoved } from '../waiting/wait-moved.ts';
import { waitUntilRunning } from '../waiting/wait-running.ts';

interface MoveOptions {
  readonly to: string | undefined;
  readonly wait: boolean;
  readonly timeout: number;
}

export const moveCommand = defineCommand({
  name: 'move',
  summary: 'Move a Project to another Node; waits until it runs there',
  args: 'PROJECT',
  options: {
    to: text('node', 'to this node; without it the scheduler chooses'),
    wait: flag('wait until it runs', { default: true }),
    timeout: duration('how long to wait at most; 0s: no limit. The move itself goes on', '10m'),
  },
  examples: [
    { command: 'caractrl move shop', does: 'stop it where it is, then start it where the scheduler puts it' },
    { command: 'caractrl move shop --to worker-02', does: 'to a node of your choice' },
  ],
  run: (context, args, options) =>
    move(context, readProjectName(args, { verb: 'move', participle: 'moved', usage: 'caractrl move PROJECT' }), options),
});

async function move(context: CommandContext, name: string, { to, wait, timeout }: MoveOptions): Promise<number> {
  const { io, output = 'table', connect, clock, signal } = context;
  const client = await connect();
  const startMs = clock.monotonicMs();
  const timeoutMs = timeout === 0 ? Infinity : timeout;
  const plan = await client.moves.moveProject(name, to === undefined ? {} : { to }, signal).catch(async (error: unknown) => {
    throw await explainRefusal(context, name, error);
  });
  const isTable = output === 'table' || output === 'wide';
  if (!wait) {
    await print(context, `project/${name} is being moved\n`, plan);
    return 0;
  }
  const { node } = plan;
  const { stages } = await waitUntilMoved(context, {
    projects: [name],
    from: node,
    timeoutMs,
    isSettled: ({ kind }) => kind !== 'leaving' && kind !== 'left' && kind !== 'stranded',
    onSettled: (_, stage) => isTable && stage.kind === 'placed' && io.stdout.write(`project/${name} moved to ${stage.node}\n`),
    onInterrupted: 'Stopped waiting; the move goes on at the server',
  });
  const stage = stages.get(name);
  if (stage?.kind !== 'placed') {
    throw failed(name, stage, { node, timeoutMs });
  }
  const project = await client.projects.get(name, signal);
  const leftMs = Math.max(0, timeoutMs - (clock.monotonicMs() - startMs));
  const [running] = await waitUntilRunning(context, { projects: [project], timeoutMs: leftMs, whenStopped: 'the move goes on' });
  await print(context, `project/${name} Running on ${running?.status.nodeRef ?? stage.node}\n`, running ?? project);
  return 0;
}

/** Data does not move by itself: what can be done about that is no other than to begin without it. */
async function explainRefusal({ connect, signal }: CommandContext, name: string, error: unknown): Promise<unknown> {
  if (!hasReason(error, 'Immovable')) {
    return error;
  }
  const project = await (await connect()).projects.find(name, signal);
  const isBound = project?.spec.volumes?.some(({ type }) => type === 'Managed' || type === 'HostPath') === true;
  const hint = `to run it elsewhere without what is there: caractrl delete project ${name}, then apply it with another nodeSelector; its data stays`;
  return isBound ? new CtlError(error.message, { cause: error, hint }) : error;
}

async function print({ io, output = 'table' }: CommandContext, line: string, document: unknown): Promise<void> {
  const text = output === 'name' ? `${line.split(' ', 1)[0]}\n` : line;
  io.stdout.write(output === 'json' || output === 'yaml' ? await renderDocument(output, document) : text);
}

function failed(
  name: string,
  stage: MoveStage | undefined,
  { node, timeoutMs }: { readonly node: string; readonly timeoutMs: number },
): CtlError {
  const subject = `project ${JSON.stringify(name)}`;
  const hint = `caractrl describe project ${name}`;
  switch (stage?.kind) {
    case 'gone':
      return new CtlError(`Cannot move ${subject} as it was deleted meanwhile`);
    case 'unconfirmed':
      return new CtlError(
        `Cannot tell whether ${subject} is stopped on ${node} as its agent has not said so: ${stage.node === undefined ? 'it was given up there' : `it was moved to ${stage.node} all the same`}`,
        { hint: `make sure that it is stopped on ${node}` },
      );
    case 'back':
      return new CtlError(`Cannot move ${subject} as no other node took it in time: it is on ${node} again`, { hint });
    case 'leaving':
    case 'stranded':
      return new CtlError(
        `Stopped waiting for ${subject} to move after ${formatDuration(timeoutMs)} as it is not there yet: ${stage.why}`,
        {
          hint: `the move goes on; look with: ${hint}`,
        },
      );
    case 'left':
    case 'placed':
    case undefined:
      return new CtlError(`Stopped waiting for ${subject} to move after ${formatDuration(timeoutMs)}`, { hint });
    default:
      return stage satisfies never;
  }
}
