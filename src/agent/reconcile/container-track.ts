/**
 * Tracks one container from look to look, to tell a crash loop from a single crash and a sick service from one that starts, and to know
 * how its runs ended: pure.
 *
 * The engine restarts crashed containers and counts its restarts until someone starts them by hand; what matters is how many came
 * in a row, without the container staying up in between.
 */
import type { ServiceStatus } from '../../api/project.ts';
import type { ServiceExit } from '../../api/project/service-exit.ts';
import type { ContainerDetail } from '../docker/docker-types.ts';
import { judgeHealth } from '../health/verdict.ts';
import { findExit, type ExitContext } from './container-exit.ts';

/** ms; up for so long, a container counts as stable. Docker's own threshold for resetting its pauses between restarts. */
const STABLE_MS = 10_000;

/** ms; healthy for so long, a container that was restarted as unhealthy counts as well: as long as the longest pause between restarts. */
const WELL_MS = 60_000;

/** Restarts in a row that make a crash loop: with the engine's pauses, about a second after the first crash. */
const CRASH_LOOP_RESTARTS = 3;

export interface ContainerTrack {
  readonly restartCount: number;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
  /** Monotonic ms of when this run was first seen; undefined while it does not run. */
  readonly upSinceMs: number | undefined;
  /** Monotonic ms of when this run was first seen healthy; undefined while it is not. */
  readonly healthySinceMs: number | undefined;
  /** Restarts since it was last stable. */
  readonly restartsInRow: number;
  /** How the last run ended, as far as was seen: the engine forgets it when the container runs again. */
  readonly lastEnd: { readonly exitCode: number; readonly isOomKilled: boolean } | undefined;
  /** Set from its turning unhealthy until it is healthy again, over restarts: how the check that decided failed, and restarts since. */
  readonly sickness: { readonly result: string | undefined; readonly restarts: number } | undefined;
  /** How often the service was started again for another reason than a change of its spec or the engine's own restart. */
  readonly restarts: number;
  readonly lastExit: ServiceExit | undefined;
}

/** Who starts a container again that has ended: where it is the agent, the engine's count stays 0, and each new run is counted. */
export type Restarter = 'engine' | 'agent';

export interface TrackContext extends Partial<ExitContext> {
  readonly nowMs: number;
  readonly restarter?: Restarter;
  /** What to go on from where the container is seen for the first time: the record of the one before it, or what was last reported. */
  readonly heritage?: Heritage | undefined;
}

export type Heritage = Pick<ServiceStatus, 'restarts' | 'lastExit' | 'startedAt'> & {
  /** The heritage is of this container, from before the agent was restarted. */
  readonly isOwn: boolean;
};

export function trackContainer(previous: ContainerTrack | undefined, container: ContainerDetail, context: TrackContext): ContainerTrack {
  const { state, restartCount } = container;
  const { nowMs, restarter = 'engine' } = context;
  const hasEnded = state.status === 'exited' || state.status === 'restarting';
  const lastEnd = hasEnded ? { exitCode: state.exitCode, isOomKilled: state.isOomKilled } : previous?.lastEnd;
  const isSameRun = previous?.upSinceMs !== undefined && previous.startedAt === state.startedAt;
  const upSinceMs = state.status === 'running' ? (isSameRun ? previous.upSinceMs : nowMs) : undefined;
  const exit = previous && findExit(previous, container, { wasEngineAway: false, ...context });
  const isOtherRun = previous?.startedAt !== undefined && state.startedAt !== undefined && previous.startedAt !== state.startedAt;
  const isNewRun = isOtherRun && context.deed !== 'stop'; // what the agent stopped is no longer the same service when it is started
  const lastExit = exit ?? withCode(previous?.lastExit, context);
  const isBlameless = lastExit?.reason === 'EngineStopped' || lastExit?.reason === 'Unseen' || lastExit?.reason === 'Unhealthy';
  const startsByAgent = restarter === 'agent' && isNewRun && !isBlameless ? 1 : 0;
  const born = previous === undefined ? beginRecord(container, context.heritage) : undefined;
  return {
    restartCount,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    upSinceMs,
    healthySinceMs: judgeWell(previous, container, { isSameRun, nowMs }),
    restartsInRow: countInRow(previous, { restartCount, startsByAgent, status: state.status, upSinceMs, nowMs }),
    lastEnd,
    sickness: judgeSickness(previous, container, isNewRun),
    restarts: born?.restarts ?? (previous?.restarts ?? 0) + countRestarts(previous, { restartCount, isNewRun, lastExit }),
    lastExit: born === undefined ? lastExit : born.lastExit,
  };
}

/** The event of an end may come after a look that has found it. */
function withCode(exit: ServiceExit | undefined, { hint }: TrackContext): ServiceExit | undefined {
  return exit?.reason === 'Exited' && exit.exitCode === undefined && hint !== undefined ? { ...exit, exitCode: hint.exitCode } : exit;
}

/** Where a container is first seen: what is known of the service, and whether it ended while nobody watched. */
function beginRecord(
  { state, restartCount }: ContainerDetail,
  heritage: Heritage | undefined,
): Pick<ContainerTrack, 'restarts' | 'lastExit'> {
  const restarts = heritage?.isOwn === true ? Math.max(heritage.restarts ?? 0, restartCount) : (heritage?.restarts ?? restartCount);
  const known = heritage?.lastExit;
  const isOtherRun = heritage?.isOwn === true && heritage.startedAt !== undefined && heritage.startedAt !== state.startedAt;
  const hasEnded = heritage?.isOwn === true && (state.status === 'exited' || state.status === 'restarting');
  if (state.finishedAt === undefined || state.finishedAt === known?.finishedAt || !(isOtherRun || hasEnded)) {
    return { restarts, lastExit: known };
  }
  const exitCode = hasEnded ? { exitCode: state.exitCode } : {};
  return {
    restarts,
    lastExit: {
      reason: 'Unseen',
      ...exitCode,
      ...(heritage.startedAt !== undefined && { startedAt: heritage.startedAt }),
      finishedAt: state.finishedAt,
    },
  };
}

interface Runs {
  readonly restartCount: number;
  readonly isNewRun: boolean;
  readonly lastExit: ServiceExit | undefined;
}

/** The engine's count grows with its own restarts, some time before the run that it counts, and is set back to 0 by a start from outside. */
function countRestarts(previous: ContainerTrack | undefined, { restartCount, isNewRun, lastExit }: Runs): number {
  const before = previous?.restartCount ?? 0;
  const isSetBack = restartCount < before || restartCount === 0;
  const byEngine = isSetBack ? restartCount : restartCount - before;
  const isWithEngine = lastExit?.reason === 'EngineStopped' || lastExit?.reason === 'Unseen';
  return isWithEngine ? 0 : byEngine + (isSetBack && isNewRun ? 1 : 0);
}

function judgeWell(
  previous: ContainerTrack | undefined,
  container: ContainerDetail,
  { isSameRun, nowMs }: { readonly isSameRun: boolean; readonly nowMs: number },
): number | undefined {
  if (container.state.status !== 'running' || judgeHealth(container).kind !== 'healthy') {
    return undefined;
  }
  return isSameRun ? (previous?.healthySinceMs ?? nowMs) : nowMs;
}

function judgeSickness(previous: ContainerTrack | undefined, container: ContainerDetail, isNewRun: boolean): ContainerTrack['sickness'] {
  const { kind, lastResult } = judgeHealth(container);
  const isRunning = container.state.status === 'running';
  const restarts = (previous?.sickness?.restarts ?? 0) + (isNewRun && previous?.sickness !== undefined ? 1 : 0);
  if (isRunning && kind === 'unhealthy') {
    return { result: lastResult, restarts };
  }
  const isOver = previous?.sickness === undefined || (isRunning && (kind === 'healthy' || kind === 'unchecked'));
  return isOver ? undefined : { ...previous.sickness, restarts };
}

interface Look {
  readonly restartCount: number;
  readonly startsByAgent: number;
  readonly status: string;
  readonly upSinceMs: number | undefined;
  readonly nowMs: number;
}

function countInRow(previous: ContainerTrack | undefined, { restartCount, startsByAgent, status, upSinceMs, nowMs }: Look): number {
  if (previous === undefined) {
    return status === 'restarting' ? restartCount : 0; // seen first in between two restarts: the count is the best guess
  }
  if (upSinceMs !== undefined && nowMs - upSinceMs >= STABLE_MS) {
    return 0;
  }
  const wasStable = previous.upSinceMs !== undefined && nowMs - previous.upSinceMs >= STABLE_MS && upSinceMs !== previous.upSinceMs;
  // A start by hand or by the agent sets the engine's count back to 0.
  return (wasStable ? 0 : previous.restartsInRow) + Math.max(startsByAgent, restartCount - previous.restartCount);
}

/** Tells whether it keeps crashing: many restarts in a row, and not up for long enough since. */
export function isCrashLooping(track: ContainerTrack | undefined): boolean {
  return track !== undefined && track.restartsInRow >= CRASH_LOOP_RESTARTS;
}

/** Monotonic ms at which a running container becomes stable; undefined where it does not run or is. */
export function stableAtMs(track: ContainerTrack | undefined, nowMs: number): number | undefined {
  const atMs = track?.upSinceMs === undefined ? undefined : track.upSinceMs + STABLE_MS;
  return atMs !== undefined && atMs > nowMs ? atMs : undefined;
}

/** Monotonic ms at which it will have been healthy for so long that its restarts no longer count; Infinity while it is not healthy. */
export function wellAtMs(track: ContainerTrack | undefined): number {
  return track?.healthySinceMs === undefined ? Infinity : track.healthySinceMs + WELL_MS;
}
