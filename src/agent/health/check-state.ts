/**
 * Check state: what the results of checks make of one run of a container: pure. The rules are the engine's own, so that it makes no
 * difference to a user who runs a check:
 * - One success makes it healthy, whenever it comes.
 * - Until then it is `starting`, and failures count only from the end of `startPeriod` on, one for each `interval`: that it is looked at
 *   more often (`startInterval`) makes it healthy sooner, never unhealthy sooner.
 * - `retries` failures in a row make it unhealthy.
 * What is not seen says nothing: time in which no check was made, as the agent was stopped or hung, counts neither way.
 * Source   moby daemon/health.go (handleProbeResult); Kubernetes' prober for results that are neither.
 */

export interface CheckTiming {
  readonly intervalMs: number;
  readonly startIntervalMs: number;
  readonly startPeriodMs: number;
  /** at least 1 */
  readonly retries: number;
}

export interface CheckState {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  /** failures in a row that count */
  readonly failures: number;
  /** Monotonic ms from which on the next failure counts. */
  readonly countFromMs: number;
  /** Monotonic ms of the next check. */
  readonly nextAtMs: number;
}

interface Beginning {
  /** monotonic ms; in the past where the container runs for longer than it is known */
  readonly startedAtMs: number;
  readonly nowMs: number;
  /** it was healthy when it was last looked at, before a restart of the agent */
  readonly wasHealthy: boolean;
}

/** The state of a run before its first check, which is due at once. */
export function beginCheck({ startPeriodMs, intervalMs }: CheckTiming, { startedAtMs, nowMs, wasHealthy }: Beginning): CheckState {
  return {
    status: wasHealthy ? 'healthy' : 'starting',
    failures: 0,
    countFromMs: startedAtMs + Math.max(startPeriodMs, intervalMs),
    nextAtMs: nowMs,
  };
}

/** `unknown`: the check was made but says nothing of the container. */
export type CheckResult = 'passed' | 'failed' | 'unknown';

/** @param nowMs monotonic ms of the end of the check */
export function recordResult(
  state: CheckState,
  timing: CheckTiming,
  { result, nowMs }: { result: CheckResult; nowMs: number },
): CheckState {
  const { intervalMs, startIntervalMs, retries } = timing;
  if (result === 'passed') {
    return { status: 'healthy', failures: 0, countFromMs: nowMs, nextAtMs: nowMs + intervalMs };
  }
  const isStarting = state.status === 'starting';
  const nextAtMs = nowMs + (isStarting ? startIntervalMs : intervalMs);
  if (result === 'unknown' || (isStarting && nowMs < state.countFromMs)) {
    return { ...state, nextAtMs };
  }
  const failures = state.failures + 1;
  return { status: failures >= retries ? 'unhealthy' : state.status, failures, countFromMs: nowMs + intervalMs, nextAtMs };
}
