/**
 * Tracks one container from look to look, to tell a crash loop from a single crash: pure.
 *
 * The engine restarts crashed containers and counts its restarts for the container's whole life; what matters is how many came
 * in a row, without the container staying up in between.
 */
import type { ContainerDetail } from '../docker/docker-types.ts';

/** ms; up for so long, a container counts as stable. Docker's own threshold for resetting its pauses between restarts. */
const STABLE_MS = 10_000;

/** Restarts in a row that make a crash loop: with the engine's pauses, about a second after the first crash. */
const CRASH_LOOP_RESTARTS = 3;

export interface ContainerTrack {
  readonly restartCount: number;
  readonly startedAt: string | undefined;
  /** Monotonic ms of when this run was first seen; undefined while it does not run. */
  readonly upSinceMs: number | undefined;
  /** Restarts since it was last stable. */
  readonly restartsInRow: number;
  /** How the last run ended, as far as was seen: the engine forgets it when the container runs again. */
  readonly lastEnd: { readonly exitCode: number; readonly isOomKilled: boolean } | undefined;
}

/** Who starts a container again that has ended: where it is the agent, the engine's count stays 0, and each new run is counted. */
export type Restarter = 'engine' | 'agent';

export function trackContainer(
  previous: ContainerTrack | undefined,
  { state, restartCount }: ContainerDetail,
  nowMs: number,
  restarter: Restarter = 'engine',
): ContainerTrack {
  const hasEnded = state.status === 'exited' || state.status === 'restarting';
  const lastEnd = hasEnded ? { exitCode: state.exitCode, isOomKilled: state.isOomKilled } : previous?.lastEnd;
  const isSameRun = previous?.upSinceMs !== undefined && previous.startedAt === state.startedAt;
  const upSinceMs = state.status === 'running' ? (isSameRun ? previous.upSinceMs : nowMs) : undefined;
  const isNewRun = previous?.startedAt !== undefined && state.startedAt !== undefined && previous.startedAt !== state.startedAt;
  const startsByAgent = restarter === 'agent' && isNewRun ? 1 : 0;
  return {
    restartCount,
    startedAt: state.startedAt,
    upSinceMs,
    restartsInRow: countInRow(previous, { restartCount, startsByAgent, status: state.status, upSinceMs, nowMs }),
    lastEnd,
  };
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
