/** Waits until Projects have left a node, showing how far each is. Callers: commands/drain.ts, commands/move.ts. */
import { formatLongAge } from '../output/age.ts';
import type { CommandContext } from '../command.ts';
import { createProgress } from '../output/progress.ts';
import { judgeMove, moveLine, type MoveStage } from './move-progress.ts';
import { describeAway } from './project-progress.ts';
import { trackProjects, type View } from './track.ts';

export interface WaitMovedOptions {
  /** names of those that were asked to leave, or that go by themselves */
  readonly projects: readonly string[];
  readonly from: string;
  /** Infinity: no limit */
  readonly timeoutMs: number;
  /** where the wait for one ends */
  readonly isSettled: (stage: MoveStage) => boolean;
  /** called once for each, as it settles */
  readonly onSettled: (project: string, stage: MoveStage) => void;
  /** said when the wait is interrupted */
  readonly onInterrupted: string;
}

export interface MovedOutcome {
  /** project -> where it was when the wait ended; of one that was never read, nothing */
  readonly stages: ReadonlyMap<string, MoveStage>;
  readonly isTimedOut: boolean;
}

export async function waitUntilMoved(context: CommandContext, options: WaitMovedOptions): Promise<MovedOutcome> {
  const { io, clock, random, connect, signal } = context;
  const { projects, timeoutMs, onInterrupted } = options;
  const stages = new Map<string, MoveStage>();
  if (projects.length === 0) {
    return { stages, isTimedOut: false };
  }
  const progress = createProgress(io.stderr);
  const judge = createJudge(options, stages, () => progress.clear());
  try {
    const isDone = await trackProjects(
      { client: await connect(), clock, random },
      { names: projects, timeoutMs },
      (view) => {
        const waiting = judge(view);
        const elapsed = formatLongAge(view.elapsedMs);
        const lines = waiting.map(([name, stage]) => moveLine(name, stage, { from: options.from, elapsed }));
        progress.show(view.away === undefined ? lines : [...lines, describeAway(view.away)]);
        return waiting.length === 0 && stages.size === projects.length ? true : undefined;
      },
      signal,
    );
    return { stages, isTimedOut: isDone === undefined };
  } finally {
    progress.clear();
    if (signal.aborted) {
      io.stderr.write(`${onInterrupted}\n`);
    }
  }
}

type Stages = Map<string, MoveStage>;

/** @returns what takes in a view and gives those that are not settled */
function createJudge({ projects, from, isSettled, onSettled }: WaitMovedOptions, stages: Stages, onNews: () => void) {
  const settled = new Set<string>();
  const uids = new Map<string, string>();
  return (view: View): readonly (readonly [string, MoveStage])[] => {
    const waiting: (readonly [string, MoveStage])[] = [];
    for (const name of projects) {
      if (settled.has(name) || !view.projects.has(name)) {
        continue;
      }
      const project = view.projects.get(name);
      const uid = uids.get(name) ?? project?.metadata.uid;
      if (uid !== undefined) {
        uids.set(name, uid);
      }
      const stage = judgeMove(project?.metadata.uid === uid ? project : undefined, from); // another one of the name is another one
      stages.set(name, stage);
      if (isSettled(stage)) {
        settled.add(name);
        onNews();
        onSettled(name, stage);
      } else {
        waiting.push([name, stage]);
      }
    }
    return waiting;
  };
}
