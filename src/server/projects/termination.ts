/** Termination: when the record of a Terminating Project may go although no agent has said that all is removed; pure. */
import type { ProjectObject } from '../../api/project.ts';

export interface TerminationContext {
  /** how long this process has seen the Project's node NotReady or gone; undefined: it is neither */
  readonly lostForMs: number | undefined;
  /** how long this process has seen the Project Terminating */
  readonly terminatingForMs: number;
  readonly terminationTimeoutMs: number;
}

export type TerminationVerdict =
  /** drop the record: `because` completes "project let go as ..." */
  { readonly isOver: true; readonly because: 'Unbound' | 'NodeLost' } | { readonly isOver: false; readonly lookAgainMs: number };

/**
 * Judges a Terminating Project. Without a node there is nothing to remove. On a reachable node it waits for the agent for as long as
 * that takes; on a lost one for the timeout, counted from when it was both Terminating and lost.
 */
export function judgeTermination({ status }: ProjectObject, context: TerminationContext): TerminationVerdict {
  if (status.nodeRef === undefined) {
    return { isOver: true, because: 'Unbound' };
  }
  if (context.lostForMs === undefined) {
    return { isOver: false, lookAgainMs: Infinity };
  }
  const leftMs = context.terminationTimeoutMs - Math.min(context.lostForMs, context.terminatingForMs);
  return leftMs <= 0 ? { isOver: true, because: 'NodeLost' } : { isOver: false, lookAgainMs: leftMs };
}
