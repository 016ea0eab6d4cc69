/**
 * Verdict: what a container's health check says, whether the engine runs it or the agent; pure.
 *
 * Callers  reconcile/plan/service-view.ts and plan-service.ts, and whoever has to know whether a new version passes its check. They hand in
 *          containers as project-loop.ts observed them: there `state.health` holds the agent's findings where the agent runs the check.
 */
import type { ContainerDetail, ContainerHealth, HealthProbe } from '../docker/docker-types.ts';

const DEFAULT_TIMEOUT_MS = 30_000; // the engine's
const SLACK_MS = 2000; // it kills the program and writes down the result
const MAX_OUTPUT = 300; // characters; the rest is in the engine's own record

export interface HealthVerdict {
  /** `unchecked`: it has no health check, or does not run. */
  readonly kind: 'unchecked' | 'starting' | 'healthy' | 'unhealthy';
  /** How the newest check ended, as `code 1: connection refused` of a command; undefined before the first. */
  readonly lastResult: string | undefined;
  /** Why the checks say nothing of the container, such as that the agent does not reach it. */
  readonly problem?: string;
}

export function judgeHealth({ state: { health } }: Pick<ContainerDetail, 'state'>): HealthVerdict {
  if (health === undefined) {
    return { kind: 'unchecked', lastResult: undefined };
  }
  const probe = health.log.at(-1);
  if (probe === undefined) {
    return { kind: health.status, lastResult: undefined };
  }
  const output = probe.output.trim().slice(0, MAX_OUTPUT);
  if (health.isByAgent === true) {
    return { kind: health.status, lastResult: output, ...(health.problem !== undefined && { problem: health.problem }) };
  }
  return { kind: judgeEngine(health, probe), lastResult: `code ${probe.exitCode}${output === '' ? '' : `: ${output}`}` };
}

/**
 * A check that lasted for longer than the engine lets any was stopped together with the engine, or with the machine, and says nothing of
 * the container. One more check is waited for before it is called unhealthy for that.
 */
function judgeEngine({ status, log, timeoutMs = DEFAULT_TIMEOUT_MS }: ContainerHealth, newest: HealthProbe): ContainerHealth['status'] {
  const lastedMs = Date.parse(newest.finishedAt) - Date.parse(newest.startedAt);
  if (status !== 'unhealthy' || !(lastedMs > timeoutMs + SLACK_MS)) {
    return status;
  }
  return log.some(({ exitCode }) => exitCode === 0) ? 'healthy' : 'starting';
}
