/** `apply --wait`: until every Project runs what was applied, or cannot. Callers: commands/apply.ts. */
import type { ProjectObject } from '../../api/project.ts';
import type { SecretObject } from '../../api/secret.ts';
import { formatDuration } from '../../api/duration.ts';
import type { CommandContext } from '../command.ts';
import { CtlError } from '../ctl-error.ts';
import { formatLongAge } from '../output/age.ts';
import { knowsSecrets } from './known-secrets.ts';
import { createProgress, type ProgressLine } from '../output/progress.ts';
import { countReady } from '../output/project-columns.ts';
import { describeAway, explainPhase, judgeProject, projectLines } from './project-progress.ts';
import { trackProjects, type View } from './track.ts';

export interface WaitOptions {
  /** as applied: name, uid and generation count */
  readonly projects: readonly ProjectObject[];
  /** applied together with them: what uses them has to have taken them up */
  readonly secrets?: readonly SecretObject[];
  readonly timeoutMs: number;
  /** said at Ctrl-C: what becomes of it all the same */
  readonly whenStopped?: string;
}

/** @returns the Projects as they run. @throws {CtlError} with the cause when one fails, is deleted meanwhile, or time runs out */
export async function waitUntilRunning(
  context: CommandContext,
  { projects: applied, secrets = [], timeoutMs, whenStopped = 'what was applied stays applied' }: WaitOptions,
): Promise<readonly ProjectObject[]> {
  const { io, clock, random, connect, signal } = context;
  const progress = createProgress(io.stderr);
  let last: View | undefined;
  try {
    const verdict = await trackProjects(
      { client: await connect(), clock, random },
      { names: applied.map(({ metadata }) => metadata.name), timeoutMs },
      (view) => {
        last = view;
        progress.show(describeView(applied, view));
        return judge(applied, view, secrets);
      },
      signal,
    );
    if (verdict === undefined) {
      throw timedOut(applied, last, timeoutMs);
    }
    if (verdict instanceof CtlError) {
      throw verdict;
    }
    return verdict;
  } finally {
    progress.clear();
    if (signal.aborted) {
      io.stderr.write(`Stopped waiting; ${whenStopped}\n`);
    }
  }
}

function judge(
  applied: readonly ProjectObject[],
  { projects }: View,
  secrets: readonly SecretObject[],
): readonly ProjectObject[] | CtlError | undefined {
  const running: ProjectObject[] = [];
  const failed: FailedProject[] = [];
  for (const { metadata } of applied) {
    const { name } = metadata;
    const current = projects.get(name);
    if (current === undefined) {
      if (projects.has(name)) {
        return new CtlError(`Cannot wait for project ${JSON.stringify(name)} any longer as it was deleted meanwhile`);
      }
      continue;
    }
    const verdict = knowsSecrets(current, secrets) ? judgeProject(current, metadata.generation) : WAITING;
    if (verdict.kind === 'running') {
      running.push(current);
    } else if (verdict.kind === 'failed') {
      const { reason, goodGeneration } = current.status;
      const stays = goodGeneration === undefined || goodGeneration === current.metadata.generation ? undefined : goodGeneration;
      failed.push({ name, why: verdict.why, isRolledBack: reason === 'RolledBack', stays });
    }
  }
  const [first] = failed;
  if (first !== undefined && running.length + failed.length === applied.length) {
    return new CtlError(describeFailed(first), {
      details: failed.slice(1).map((other) => `error: ${describeFailed(other)}`),
      hint: first.isRolledBack ? `caractrl rollout history ${first.name}` : `caractrl describe project ${first.name}`,
    });
  }
  return running.length === applied.length ? running : undefined;
}

const WAITING = { kind: 'waiting' } as const;

interface FailedProject {
  readonly name: string;
  readonly why: string;
  readonly isRolledBack: boolean;
  /** the revision that was good before and is kept up */
  readonly stays: number | undefined;
}

function describeFailed({ name, why, isRolledBack, stays }: FailedProject): string {
  const project = `project ${JSON.stringify(name)}`;
  const meanwhile = stays === undefined ? '' : `; revision ${stays} is kept up, and the agent goes on trying`;
  return isRolledBack ? `Cannot change ${project}: ${why}` : `Cannot bring up ${project} as it is Failed: ${why}${meanwhile}`;
}

function describeView(applied: readonly ProjectObject[], { projects, away, elapsedMs }: View): readonly ProgressLine[] {
  const elapsed = formatLongAge(elapsedMs);
  const lines = applied.flatMap(({ metadata }) => {
    const current = projects.get(metadata.name);
    return current === undefined ? [] : projectLines(current, { generation: metadata.generation, elapsed });
  });
  return away === undefined ? lines : [...lines, describeAway(away)];
}

function timedOut(applied: readonly ProjectObject[], last: View | undefined, timeoutMs: number): CtlError {
  const limit = formatDuration(timeoutMs);
  if (last?.away !== undefined) {
    return new CtlError(`Cannot tell whether what was applied runs after ${limit}: ${last.away.message}`, { cause: last.away });
  }
  const open = applied.flatMap(({ metadata }) => {
    const current = last?.projects.get(metadata.name);
    return current === undefined || judgeProject(current, metadata.generation).kind === 'running' ? [] : [current];
  });
  const [first] = open;
  const causes = open.map((project) => {
    const why = explainPhase(project) ?? `${countReady(project)} services are ready`;
    return `project ${JSON.stringify(project.metadata.name)} is ${project.status.phase}: ${why}`;
  });
  return new CtlError(`Stopped waiting after ${limit} as ${causes.join('; ')}`, {
    hint:
      first === undefined
        ? 'wait longer with --timeout 15m'
        : `caractrl describe project ${first.metadata.name}, or wait longer with --timeout 15m`,
  });
}
