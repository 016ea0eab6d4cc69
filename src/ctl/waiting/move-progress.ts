/** How far a Project has come on its way off a node; pure. */
import { hasMoved, isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { ProgressLine } from '../output/progress.ts';
import { explainPhase } from './project-progress.ts';

export type MoveStage =
  /** still on the node; `why` is what it waits for */
  | { readonly kind: 'leaving'; readonly why: string }
  /** its agent has confirmed the stop, and the scheduler has not looked yet */
  | { readonly kind: 'left' }
  /** as `left`, and no node takes it for now */
  | { readonly kind: 'stranded'; readonly why: string }
  | { readonly kind: 'placed'; readonly node: string }
  /** deleted */
  | { readonly kind: 'gone' }
  /** off the node, but nobody has confirmed that it is stopped there */
  | { readonly kind: 'unconfirmed'; readonly node: string | undefined }
  /** on the node again, or it has stayed */
  | { readonly kind: 'back' };

/** @param project undefined: it is gone @param from the node to leave */
export function judgeMove(project: ProjectObject | undefined, from: string): MoveStage {
  if (project === undefined) {
    return { kind: 'gone' };
  }
  const { status } = project;
  const { nodeRef, phase, reason } = status;
  if (nodeRef === from) {
    const isGoing = isLeaving(project) || phase === 'Terminating';
    return isGoing ? { kind: 'leaving', why: describeWait(project) } : { kind: 'back' };
  }
  if (phase === 'Terminating') {
    return { kind: 'gone' };
  }
  if (!hasMoved(status)) {
    return { kind: 'unconfirmed', node: nodeRef };
  }
  if (nodeRef !== undefined) {
    return { kind: 'placed', node: nodeRef };
  }
  return reason === 'Unschedulable' ? { kind: 'stranded', why: explainPhase(project) ?? 'no node takes it' } : { kind: 'left' };
}

function describeWait(project: ProjectObject): string {
  const unreachable = project.status.conditions.find(({ type, status }) => type === 'NodeReachable' && status === 'False');
  const stopping = project.status.services.filter(({ state }) => state === 'Stopping').map(({ name }) => name);
  const rest = stopping.length === 0 ? '' : ` (${stopping.join(', ')} left)`;
  return unreachable?.message ?? `${project.status.message ?? 'waits for its agent'}${rest}`;
}

/** What to show of a Project that is not there yet. */
export function moveLine(
  name: string,
  stage: MoveStage,
  { from, elapsed }: { readonly from: string; readonly elapsed: string },
): ProgressLine {
  switch (stage.kind) {
    case 'leaving':
      return line(name, { head: 'leaving', why: stage.why, elapsed });
    case 'left':
      return line(name, { head: `has left ${from}`, why: 'waits for a node', elapsed });
    case 'stranded':
      return line(name, { head: `has left ${from}`, why: stage.why, elapsed });
    case 'placed':
      return line(name, { head: `moved to ${stage.node}`, why: '', elapsed });
    case 'gone':
      return line(name, { head: 'gone', why: '', elapsed });
    case 'unconfirmed':
      return line(name, { head: `off ${from}`, why: 'its stop is not confirmed', elapsed });
    case 'back':
      return line(name, { head: `on ${from}`, why: '', elapsed });
    default:
      return stage satisfies never;
  }
}

function line(
  name: string,
  { head, why, elapsed }: { readonly head: string; readonly why: string; readonly elapsed: string },
): ProgressLine {
  const tail = why === '' ? '' : `: ${why}`;
  return { key: `project/${name}`, text: `project/${name} ${head}${tail}`, live: `project/${name} ${head}, ${elapsed}${tail}` };
}
