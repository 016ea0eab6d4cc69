/**
 * Service events: what happened to the services of a Project that nobody asked for, by what its agent reports; pure.
 *
 * Callers  project-events.ts
 */
import type { EventType } from '../../api/event.ts';
import type { ProjectObject, ProjectStatus, Service, ServiceStatus } from '../../api/project.ts';
import { describeExit, type ServiceExit } from '../../api/project/service-exit.ts';
import { subjectOf, type EventFact } from './event-fact.ts';

/** @param before the status that the Project had */
export function listServiceEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  if (project.status.services === before.services) {
    return [];
  }
  const previous = new Map(before.services.map((service) => [service.name, service]));
  const specs = new Map(project.spec.services.map((service) => [service.name, service]));
  return project.status.services.flatMap((service) => {
    const was = previous.get(service.name);
    const spec = specs.get(service.name);
    // the first that is heard of a service says what is so, not what happened
    return was === undefined || spec === undefined
      ? []
      : [...listHealthEvents(was, service, project), ...listExitEvents(was, service, { project, spec })];
  });
}

function listHealthEvents(was: ServiceStatus, { name, health }: ServiceStatus, project: ProjectObject): readonly EventFact[] {
  if (health?.state !== 'Unhealthy' || was.health?.state === 'Unhealthy') {
    return [];
  }
  const why = health.output === undefined ? '' : `: ${health.output}`;
  return [tell(project, name, { type: 'Warning', reason: 'ServiceUnhealthy', message: `Service ${name} fails its health check${why}` })];
}

interface Context {
  readonly project: ProjectObject;
  readonly spec: Service;
}

function listExitEvents(was: ServiceStatus, { name, lastExit, state }: ServiceStatus, { project, spec }: Context): readonly EventFact[] {
  if (lastExit === undefined || lastExit.finishedAt === was.lastExit?.finishedAt) {
    return [];
  }
  const isEnd = state === 'Completed' || state === 'Failed';
  const { type, reason } = nameOf(lastExit, state);
  const memory = spec.resources?.limits?.memory;
  const limit = lastExit.reason === 'OOMKilled' && memory !== undefined ? ` (its limit is ${memory})` : '';
  const next = isEnd ? '' : '; it is started again';
  return [tell(project, name, { type, reason, message: `Service ${name} ${describeExit(lastExit)}${limit}${next}` })];
}

interface Naming {
  readonly type: EventType;
  readonly reason: string;
}

function nameOf({ reason, exitCode }: ServiceExit, state: ServiceStatus['state']): Naming {
  switch (reason) {
    case 'Exited':
      return state === 'Completed' && exitCode === 0
        ? { type: 'Normal', reason: 'ServiceCompleted' }
        : { type: 'Warning', reason: 'ServiceExited' };
    case 'OOMKilled':
      return { type: 'Warning', reason: 'ServiceOOMKilled' };
    case 'Stopped':
      return { type: 'Warning', reason: 'ServiceStopped' };
    case 'Removed':
      return { type: 'Warning', reason: 'ServiceRemoved' };
    case 'Unhealthy':
    case 'EngineStopped':
    case 'Unseen':
      return { type: 'Normal', reason: 'ServiceRestarted' };
    default:
      return reason satisfies never;
  }
}

function tell(project: ProjectObject, service: string, fact: Omit<EventFact, 'object' | 'part'>): EventFact {
  return { object: subjectOf(project), part: service, ...fact };
}
