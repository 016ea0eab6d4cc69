/** What a Project is doing, in words; and whether it has got where it should. Pure. */
import type { ApiError } from '../../api/errors.ts';
import type { ProjectObject, ServiceStatus } from '../../api/project.ts';
import type { ProgressLine } from '../output/progress.ts';

export type ProjectVerdict =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running' }
  /** the agent goes on trying, but what was applied does not come up */
  | { readonly kind: 'failed'; readonly why: string };

/**
 * Judges a Project after an apply.
 * @param generation the spec that was applied: a status of an older one says nothing about it
 */
export function judgeProject({ status }: ProjectObject, generation: number): ProjectVerdict {
  if (status.observedGeneration < generation) {
    return { kind: 'waiting' };
  }
  switch (status.phase) {
    case 'Running':
      return { kind: 'running' };
    case 'Failed':
      return { kind: 'failed', why: describeFailure(status) };
    case 'Pending':
    case 'Scheduled':
    case 'Terminating':
    case 'Terminated':
      return { kind: 'waiting' };
    default:
      return status.phase satisfies never;
  }
}

/** Reason and message, and those of the services that failed. */
function describeFailure({ reason, message, services }: ProjectObject['status']): string {
  if (reason === 'RolledBack' && message !== undefined) {
    return message;
  }
  const own = [reason, message].filter((part) => part !== undefined && part !== '').join(': ');
  const failed = services
    .filter(({ state, message: text }) => (state === 'Failed' || state === 'Unhealthy') && text !== undefined && !own.includes(text))
    .map(({ name, message: text }) => `${name}: ${text}`);
  return [own, ...failed].filter((part) => part !== '').join('; ') || 'no reason is given';
}

/** Why it is where it is: the Scheduled condition while Pending, else the status's own message. */
export function explainPhase({ status }: ProjectObject): string | undefined {
  const find = (type: string): string | undefined =>
    status.conditions.find((condition) => condition.type === type && condition.status === 'False')?.message;
  const unreachable = find('NodeReachable');
  if (status.phase === 'Pending') {
    return find('Scheduled') ?? status.message;
  }
  return unreachable ?? (status.phase === 'Failed' ? describeFailure(status) : status.message);
}

/** The Project's own line and one for each service. Of a failure they say the reason alone: the wait ends with the whole of it, once. */
export function projectLines(
  project: ProjectObject,
  { generation, elapsed }: { readonly generation: number; readonly elapsed: string },
): readonly ProgressLine[] {
  const { metadata, spec, status } = project;
  const isOld = status.observedGeneration < generation && (status.phase === 'Running' || status.phase === 'Failed');
  const on = status.nodeRef === undefined ? '' : ` on ${status.nodeRef}`;
  // while services are at work, their own lines say it better
  const isTold = status.phase === 'Scheduled' && status.services.length > 0;
  const hasFailed = !isOld && status.phase === 'Failed';
  const why = isOld ? 'bringing up the change' : isTold ? undefined : ((hasFailed ? status.reason : undefined) ?? explainPhase(project));
  const suffix = why === undefined || why === '' ? '' : `: ${why}`;
  const head = `project/${metadata.name} ${status.phase}${on}`;
  const nameWidth = Math.max(...spec.services.map(({ name }) => name.length));
  const services = status.services.map((service): ProgressLine => {
    const words = hasFailed && service.state === 'Failed' ? service.state : describeService(service);
    return {
      key: `project/${metadata.name}/${service.name}`,
      text: `project/${metadata.name} ${service.name}: ${words}`,
      live: `  ${service.name.padEnd(nameWidth)}   ${words}`,
    };
  });
  return [{ key: `project/${metadata.name}`, text: head + suffix, live: `${head}, ${elapsed}${suffix}` }, ...services];
}

/** State and message, but "Waiting for db" once only. Without the restarts: a line for each would flood a log. */
function describeService({ state, message = '' }: ServiceStatus): string {
  return message.startsWith(`${state} `) ? message : `${state}${message === '' ? '' : `: ${message}`}`;
}

/** The line about a server that does not answer while a command waits. */
export function describeAway(error: ApiError): ProgressLine {
  return { key: 'server', text: `${error.message}; trying again` };
}
