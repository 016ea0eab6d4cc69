/** Plans what health checks ask for, and what to say of them: pure. */
import type { ServiceHealth } from '../../../api/project.ts';
import { formatDuration } from '../../../api/duration.ts';
import { judgeHealth } from '../../health/verdict.ts';
import type { Agenda } from './agenda.ts';
import { wellAtMs, type ContainerTrack } from '../container-track.ts';
import type { Failure } from '../failure.ts';
import type { OurContainer, ServiceView } from './service-view.ts';
import type { StepOf } from '../steps.ts';

const STATES = { starting: 'Starting', healthy: 'Healthy', unhealthy: 'Unhealthy' } as const;

/** What health makes of a service; `failure` where it is not as it should be. */
interface HealthPlan {
  readonly state: 'Starting' | 'Unhealthy' | 'Restarting';
  readonly message?: string;
  readonly failure?: Failure;
}

/**
 * Restarts what is unhealthy, ever more slowly. With restartPolicy Never it is left as it is, for a person to look at: nothing but a
 * person ever starts such a service a second time.
 */
export function restartUnhealthy(view: ServiceView, container: OurContainer, agenda: Agenda): HealthPlan {
  const sick = describeHealth(container);
  if (view.service.restartPolicy === 'Never') {
    return {
      state: 'Unhealthy',
      failure: { reason: 'Unhealthy', message: `${sick}; it is not restarted, as its restart policy is Never` },
    };
  }
  const step = restartStep(view, container);
  const failure = agenda.add(step);
  if (failure !== undefined) {
    return { state: 'Unhealthy', failure };
  }
  const times = describeTimes(view.track?.sickness?.restarts ?? 0);
  if (agenda.isActive(step)) {
    return { state: 'Restarting', failure: { reason: 'Unhealthy', message: `${sick}; it is being restarted${times}` } };
  }
  const pause = formatDuration(Math.ceil(agenda.pauseBefore(step) / 1000) * 1000);
  return { state: 'Unhealthy', failure: { reason: 'Unhealthy', message: `${sick}; it waits ${pause} for its next restart${times}` } };
}

/**
 * A container that was stopped as unhealthy and does not run again yet; undefined for any other. How often it was restarted is kept, or
 * each restart would be the first.
 */
export function awaitRestart(view: ServiceView, container: OurContainer, agenda: Agenda): HealthPlan | undefined {
  const { sickness } = view.track ?? {};
  if (sickness === undefined) {
    return undefined;
  }
  agenda.keep(restartStep(view, container));
  const message = `Its health check failed${quoteResult(sickness)}; it is being restarted${describeTimes(sickness.restarts)}`;
  return { state: 'Restarting', failure: { reason: 'Unhealthy', message } };
}

/** A container that runs and whose health is not known yet. */
export function waitForHealth({ track }: ServiceView, container: OurContainer): HealthPlan {
  const { lastResult, problem } = judgeHealth(container);
  if (problem !== undefined) {
    return { state: 'Starting', failure: { reason: 'HealthCheckImpossible', message: problem } };
  }
  if (track?.sickness !== undefined) {
    const { restarts } = track.sickness;
    const message = `It was restarted as its health check failed${quoteResult(track.sickness)}, and has not passed it since${describeTimes(restarts)}`;
    return { state: 'Starting', failure: { reason: 'Unhealthy', message } };
  }
  return { state: 'Starting', message: `Waiting for its health check${lastResult === undefined ? '' : `: ${lastResult}`}` };
}

/** Keeps count of restarts until the service has been well for long enough. */
export function keepRestarts(view: ServiceView, container: OurContainer, agenda: Agenda): void {
  const step = restartStep(view, container);
  if (agenda.hasDone(step) && wellAtMs(view.track) > agenda.nowMs) {
    agenda.keep(step);
    agenda.wakeAt(wellAtMs(view.track)); // to forget it then
  }
}

export function toHealthStatus(container: OurContainer): ServiceHealth | undefined {
  const { kind, lastResult, problem } = judgeHealth(container);
  if (kind === 'unchecked' || container.state.status !== 'running') {
    return undefined;
  }
  const output = kind === 'healthy' ? undefined : (problem ?? lastResult); // what a check says that passes may change each time
  return { state: STATES[kind], ...(output !== undefined && { output: output.slice(0, 1024) }) };
}

export function describeHealth(container: OurContainer): string {
  const { lastResult } = judgeHealth(container);
  const isByAgent = container.state.health?.isByAgent === true;
  return `Its health check fails${lastResult === undefined ? '' : isByAgent ? `: ${lastResult}` : `, last with ${lastResult}`}`;
}

function restartStep({ service }: ServiceView, container: OurContainer): StepOf<'restartContainer'> {
  const isStepwise = service.container.restart?.name === 'no'; // it is fenced: how long it takes to stop may be too long
  return { kind: 'restartContainer', service: service.name, containerId: container.id, graceMs: service.stopGraceMs, isStepwise };
}

function quoteResult({ result }: NonNullable<ContainerTrack['sickness']>): string {
  return result === undefined ? '' : ` (${result})`;
}

function describeTimes(restarts: number): string {
  return restarts === 0 ? '' : ` (restarted ${restarts === 1 ? 'once' : `${restarts} times`} so far)`;
}
