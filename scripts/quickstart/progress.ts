/** What a Project is doing, in a line. Pure. */
import type { ProjectObject } from '../../src/api/project.ts';

export interface Progress {
  readonly phase: string;
  readonly detail: string;
}

/** The phase, and what the agent does for each service; for a Project without a node, why it has none. */
export function describeProgress({ status }: ProjectObject): Progress {
  const unscheduled = status.conditions.find(({ type, status: value }) => type === 'Scheduled' && value === 'False');
  const services = status.services.map(({ name, state, message }) => `${name} ${state}${isTold(state) && message ? ` (${message})` : ''}`);
  const where = status.nodeRef === undefined ? [] : [`on ${status.nodeRef}`];
  const why = status.nodeRef === undefined ? [unscheduled?.message ?? 'waiting for a node'] : [];
  const failure = status.phase === 'Failed' ? [status.message ?? status.reason ?? ''] : [];
  return { phase: status.phase, detail: [...where, ...why, ...services, ...failure].filter((part) => part !== '').join(' · ') };
}

/** States whose message says more than their name. */
function isTold(state: string): boolean {
  return state === 'Pulling' || state === 'Waiting' || state === 'Unhealthy' || state === 'Restarting' || state === 'Failed';
}
