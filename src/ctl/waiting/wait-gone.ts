/** `delete --wait`: until every Project is gone, showing what holds it up. Callers: commands/delete.ts. */
import { formatDuration } from '../../api/duration.ts';
import { hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { CommandContext } from '../command.ts';
import { CtlError } from '../ctl-error.ts';
import { formatLongAge } from '../output/age.ts';
import { createProgress, type ProgressLine } from '../output/progress.ts';
import { describeAway } from './project-progress.ts';
import { trackProjects, type View } from './track.ts';

/** The node of a Project that goes nowhere is looked at again this often. */
const NODE_AGE_MS = 5000;

export interface WaitGoneOptions {
  /** as they were when deletion was asked for */
  readonly projects: readonly ProjectObject[];
  /** Infinity: no limit */
  readonly timeoutMs: number;
  /** called once for each, as it goes, with the last that was seen of it */
  readonly onGone: (last: ProjectObject) => void;
}

/** @throws {CtlError} with what is still there when time runs out */
export async function waitUntilGone(context: CommandContext, { projects: deleted, timeoutMs, onGone }: WaitGoneOptions): Promise<void> {
  const { io, clock, random, connect, signal } = context;
  const client = await connect();
  const progress = createProgress(io.stderr);
  const nodes = createNodeCache(context);
  const waiting = new Map(deleted.map((project) => [project.metadata.name, project]));
  let lines: readonly ProgressLine[] = [];
  try {
    const isDone = await trackProjects(
      { client, clock, random },
      { names: [...waiting.keys()], timeoutMs },
      async (view) => {
        for (const [name, project] of waiting) {
          if (isGone(project, view)) {
            waiting.delete(name);
            progress.clear();
            onGone(project);
          } else {
            waiting.set(name, view.projects.get(name) ?? project);
          }
        }
        lines = await describeView([...waiting.values()], view, nodes);
        progress.show(lines);
        return waiting.size === 0 ? true : undefined;
      },
      signal,
    );
    if (isDone === undefined) {
      throw timedOut([...waiting.keys()], lines, timeoutMs);
    }
  } finally {
    progress.clear();
    if (signal.aborted) {
      io.stderr.write('Stopped waiting; the deletion goes on\n');
    }
  }
}

/** Gone, or one made anew under the name. */
function isGone({ metadata }: ProjectObject, { projects }: View): boolean {
  return projects.has(metadata.name) && projects.get(metadata.name)?.metadata.uid !== metadata.uid;
}

async function describeView(
  waiting: readonly ProjectObject[],
  { projects, away, elapsedMs }: View,
  nodes: (name: string) => Promise<NodeObject | undefined | 'gone'>,
): Promise<readonly ProgressLine[]> {
  const lines: ProgressLine[] = [];
  for (const { metadata } of waiting) {
    const current = projects.get(metadata.name);
    if (current !== undefined) {
      const node = current.status.nodeRef === undefined ? undefined : await nodes(current.status.nodeRef);
      const head = `project/${metadata.name} ${current.status.phase}`;
      const hold = describeHold(current, node);
      lines.push({ key: metadata.name, text: `${head}: ${hold}`, live: `${head}, ${formatLongAge(elapsedMs)}: ${hold}` });
    }
  }
  return away === undefined ? lines : [...lines, describeAway(away)];
}

/** What a deletion waits for. */
export function describeHold({ status }: ProjectObject, node: NodeObject | 'gone' | undefined): string {
  if (node === 'gone') {
    return `its node ${status.nodeRef} no longer exists; let go of after the server's PROJECT_TERMINATION_TIMEOUT (10m by default), or at once with --force`;
  }
  if (node?.status.state === 'NotReady') {
    const since = node.status.conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    return `waits for node ${node.metadata.name}, NotReady${since === undefined ? '' : ` since ${since}`}; let go of when that is back, after the server's PROJECT_TERMINATION_TIMEOUT (10m by default), or at once with --force`;
  }
  const services = status.services.map(
    ({ name, state, message }) => `${name} ${state}${message === undefined || message === '' ? '' : ` (${message})`}`,
  );
  return services.join(', ') || status.message || 'waits for its node to confirm';
}

/** Reads nodes at most every few seconds; a server that is away leaves what was known. */
function createNodeCache({ connect, clock, signal }: CommandContext): (name: string) => Promise<NodeObject | undefined | 'gone'> {
  const known = new Map<string, { readonly atMs: number; readonly node: NodeObject | undefined | 'gone' }>();
  return async (name) => {
    const nowMs = clock.monotonicMs();
    const cached = known.get(name);
    if (cached !== undefined && nowMs - cached.atMs < NODE_AGE_MS) {
      return cached.node;
    }
    try {
      const node = (await (await connect()).nodes.find(name, signal)) ?? 'gone';
      known.set(name, { atMs: nowMs, node });
      return node;
    } catch (error) {
      if (hasReason(error, 'Unavailable', 'TooManyRequests', 'Internal')) {
        return cached?.node;
      }
      throw error;
    }
  };
}

function timedOut(names: readonly string[], lines: readonly ProgressLine[], timeoutMs: number): CtlError {
  const [first] = names;
  const why = lines.map(({ text }) => text).join('; ');
  return new CtlError(`Stopped waiting after ${formatDuration(timeoutMs)} as not all is gone yet: ${why}`, {
    ...(first !== undefined && { hint: `the deletion goes on; look with: caractrl describe project ${first}` }),
  });
}
