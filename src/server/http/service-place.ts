/** Finds where a service runs. Callers: the routes that reach into a service (logs, exec, port-forward). */
import { findCondition } from '../../api/condition.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Store } from '../../store/store.ts';
import type { Caller } from '../auth/caller.ts';
import { getObject } from './routes/resource-routes.ts';

export interface ServicePlace {
  readonly project: ProjectObject;
  readonly service: string;
  readonly node: string;
}

export interface Wanted {
  readonly project: string;
  readonly service: string;
  /** what cannot be done without it, such as "read the logs of" */
  readonly action: string;
  readonly caller: Caller;
}

/** @throws {ApiError} NotFound, which lists the services there are; NotRunning where the Project is on no node; Forbidden */
export async function findPlace(store: Store, { project: name, service, action, caller }: Wanted): Promise<ServicePlace> {
  const project = await getObject<ProjectObject>(store, { kind: 'Project', name, caller });
  const names = project.spec.services.map((one) => one.name);
  if (!names.includes(service)) {
    throw new ApiError(
      'NotFound',
      `Cannot find service ${JSON.stringify(service)} in project ${JSON.stringify(name)}: its services are ${names.join(', ')}`,
    );
  }
  const { nodeRef, phase, conditions } = project.status;
  if (nodeRef === undefined) {
    const why = findCondition(conditions, 'Scheduled')?.message;
    throw new ApiError(
      'NotRunning',
      `Cannot ${action} ${name}/${service} as the Project is on no node: it is ${phase}${why ? `, ${why}` : ''}`,
    );
  }
  return { project, service, node: nodeRef };
}
