/** caractrl drain: empties a node: shows what would become of each Project, asks, and waits until the stops are confirmed. */
import type { DrainPlan } from '../../api/project/drain.ts';
import { formatDuration } from '../../api/duration.ts';
import { checkMayAsk, confirm } from '../ask.ts';
import { defineCommand, duration, flag, text, type CommandContext } from '../command.ts';
import { readNodeNames } from '../cordon-node.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { describeStage, findProblem, questionOf } from '../drain-words.ts';
import { renderPlan, renderPlanAs } from '../output/drain-plan.ts';
import { waitUntilMoved, type MovedOutcome } from '../waiting/wait-moved.ts';

interface DrainOptions {
  readonly to: string | undefined;
  readonly yes: boolean;
  readonly timeout: number;
  readonly dryRun: boolean;
}

export const drainCommand = defineCommand({
  name: 'drain',
  summary: 'Empty a Node: cordon it and move its Projects to others',
  args: 'NODE',
  options: {
    to: text('node', 'move them all to this node'),
    yes: flag('do not ask', { short: 'y' }),
    timeout: duration('how long to wait at most; 0s: no limit. The drain itself goes on', '10m'),
    dryRun: flag('only show what would become of each Project'),
  },
  examples: [
    { command: 'caractrl drain worker-01', does: 'show the plan, ask, and move what can move; what cannot is listed with why' },
    { command: 'caractrl drain worker-01 --dry-run', does: 'only show the plan' },
    { command: 'caractrl drain worker-01 --to worker-02 --yes', does: 'onto one node, without asking' },
    { command: 'caractrl uncordon worker-01', does: 'let Projects onto it again afterwards' },
  ],
  run: async (context, args, options) => {
    const [node, ...others] = readNodeNames(args, 'drain');
    if (node === undefined || others.length > 0) {
      throw new UsageError('Cannot drain several nodes at once: what moves off one could land on the next', {
        hint: `caractrl drain ${node ?? 'NODE'}`,
      });
    }
    return drain(context, node, options);
  },
});

async function drain(context: CommandContext, node: string, options: DrainOptions): Promise<number> {
  const { io, output = 'table', connect, signal } = context;
  const { to, dryRun, timeout } = options;
  const retry = `caractrl drain ${node}${to === undefined ? '' : ` --to ${to}`} --yes`;
  if (!dryRun && !options.yes) {
    checkMayAsk(io, retry);
  }
  const { moves } = await connect();
  const wish = to === undefined ? {} : { to };
  const isTable = output === 'table' || output === 'wide';
  if (dryRun || !options.yes || isTable) {
    const plan = await moves.drainNode(node, { ...wish, dryRun: true }, signal);
    if (dryRun && !isTable) {
      io.stdout.write(await renderPlanAs(output, plan));
      return 0;
    }
    // beside other output the plan is for the person who is asked
    const screen = isTable ? io.stdout : io.stderr;
    screen.write(renderPlan(plan, screen));
    if (dryRun) {
      return 0;
    }
    if (!options.yes && plan.projects.length > 0 && !(await confirm(io, { question: questionOf(plan), instead: retry }, signal))) {
      throw new CtlError('Nothing was changed', { hint: `caractrl cordon ${node} only keeps new Projects off it` });
    }
  }
  const plan = await moves.drainNode(node, wish, signal);
  const outcome = await waitUntilMoved(context, {
    projects: plan.projects.filter(({ action }) => action !== 'Keep').map(({ project }) => project),
    from: node,
    timeoutMs: timeout === 0 ? Infinity : timeout,
    isSettled: ({ kind }) => kind !== 'leaving' && kind !== 'left',
    onSettled: (project, stage) => isTable && io.stdout.write(`project/${project} ${describeStage(stage, node)}\n`),
    onInterrupted: `Stopped waiting; the drain of ${node} goes on at the server. ${undoOf(node)}`,
  });
  return report(context, plan, { outcome, timeoutMs: timeout });
}

async function report(
  context: CommandContext,
  plan: DrainPlan,
  { outcome, timeoutMs }: { readonly outcome: MovedOutcome; readonly timeoutMs: number },
): Promise<number> {
  const { io, output = 'table' } = context;
  const { node } = plan;
  const isTable = output === 'table' || output === 'wide';
  const problems = plan.projects.flatMap((entry) => {
    const problem = findProblem(entry, outcome.stages.get(entry.project), node);
    return problem === undefined ? [] : [`  ${entry.project}: ${problem}`];
  });
  if (!isTable) {
    io.stdout.write(await renderPlanAs(output, withOutcome(plan, outcome)));
  }
  if (problems.length > 0) {
    const which = `${problems.length} of ${plan.projects.length} Projects ${problems.length === 1 ? 'is' : 'are'}`;
    const waited = outcome.isTimedOut ? ` after ${formatDuration(timeoutMs)}` : '';
    throw new CtlError(`Cannot empty node ${JSON.stringify(node)} as ${which} not confirmed to have left it${waited}`, {
      details: problems,
      hint: undoOf(node),
    });
  }
  if (isTable) {
    io.stdout.write(`node/${node} drained\n`);
    io.stderr.write(`${undoOf(node)}\n`);
  }
  return 0;
}

function undoOf(node: string): string {
  return `It stays cordoned; to let Projects onto it again: caractrl uncordon ${node}`;
}

/** The plan with where each has really gone. */
function withOutcome(plan: DrainPlan, { stages }: MovedOutcome): DrainPlan {
  const projects = plan.projects.map((entry) => {
    const stage = stages.get(entry.project);
    return stage?.kind === 'placed' ? { ...entry, to: stage.node } : entry;
  });
  return { ...plan, projects };
}
