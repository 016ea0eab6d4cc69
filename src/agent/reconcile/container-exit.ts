/**
 * How a container's run ended, found by comparing two looks at it: pure.
 *
 * The engine forgets the code of a run when the next begins, so what its events said of the end helps out where it restarted the
 * container before anyone looked.
 */
import type { ExitReason, ServiceExit } from '../../api/project/service-exit.ts';
import type { ContainerDetail, RestartSpec } from '../docker/docker-types.ts';

/** What the engine's events said of the newest end of a container. */
export interface EndHint {
  readonly exitCode: number;
  readonly isOomKilled: boolean;
}

/** What is known of the circumstances of a look. */
export interface ExitContext {
  /** What the agent itself last did to the container. */
  readonly deed?: 'stop' | 'restart' | undefined;
  readonly hint?: EndHint | undefined;
  /** The engine was away since the last look. */
  readonly wasEngineAway: boolean;
  /** How the engine restarts the container by itself; undefined where that is not known. */
  readonly restart?: RestartSpec['name'] | undefined;
}

export interface SeenRun {
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
  readonly restartCount: number;
  /** undefined: it did not run */
  readonly upSinceMs: number | undefined;
}

/** @returns undefined where no run has ended since `previous`, or the agent ended it for another container */
export function findExit(previous: SeenRun, { state, restartCount }: ContainerDetail, context: ExitContext): ServiceExit | undefined {
  if (state.finishedAt === undefined || state.finishedAt === previous.finishedAt || context.deed === 'stop') {
    return undefined;
  }
  if (state.status === 'removing' || state.status === 'dead') {
    return undefined; // that it is gone says more
  }
  const hasEnded = state.status === 'exited' || state.status === 'restarting';
  const exitCode = hasEnded ? state.exitCode : context.hint?.exitCode;
  const isOomKilled = hasEnded ? state.isOomKilled : context.hint?.isOomKilled === true;
  // of the run that ended: what is down still shows it; of what is up again it is known if that run was seen, and no other came after it
  const isSeen = previous.upSinceMs !== undefined && restartCount - previous.restartCount <= 1;
  const startedAt = hasEnded ? state.startedAt : isSeen ? previous.startedAt : undefined;
  return {
    reason: findReason(context, { isLeftDown: state.status === 'exited' && state.error === '', exitCode, isOomKilled }),
    ...(exitCode !== undefined && { exitCode }),
    ...(startedAt !== undefined && { startedAt }),
    finishedAt: state.finishedAt,
  };
}

interface End {
  /** the engine does not restart it */
  readonly isLeftDown: boolean;
  readonly exitCode: number | undefined;
  readonly isOomKilled: boolean;
}

function findReason({ deed, wasEngineAway, restart }: ExitContext, { isLeftDown, exitCode, isOomKilled }: End): ExitReason {
  if (deed === 'restart') {
    return 'Unhealthy';
  }
  if (wasEngineAway) {
    return 'EngineStopped';
  }
  if (isOomKilled) {
    return 'OOMKilled';
  }
  // the engine restarts what ends by itself, and leaves alone what someone stopped
  const isRestarted = restart === 'unless-stopped' || restart === 'always' || (restart === 'on-failure' && exitCode !== 0);
  return isLeftDown && isRestarted ? 'Stopped' : 'Exited';
}
