/**
 * Verdict: what a container's health check says, whether the engine runs it or the agent; pure.
 *
 * Callers  reconcile/service-view.ts and plan-service.ts, and whoever has to know whether a new version passes its check. They hand in
 *          containers as project-loop.ts observed them: there `state.health` holds the agent's findings where the agent runs the check.
 */
import type { ContainerDetail } from '../docker/docker-types.ts';

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
  return { kind: health.status, lastResult: `code ${probe.exitCode}${output === '' ? '' : `: ${output}`}` };
}
