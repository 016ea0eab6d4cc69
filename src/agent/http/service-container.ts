/** The container that a service has on this node. Callers: the routes of the agent's API. */
import { ApiError } from '../../api/errors.ts';
import type { ContainerDetail, ContainerSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { clusterFilter, LABEL } from '../docker/names.ts';

export interface ServiceName {
  readonly project: string;
  readonly service: string;
}

export interface ContainerSources {
  readonly engine: Pick<Engine, 'listContainers' | 'inspectContainer'>;
  /** undefined before the agent has ever joined */
  readonly clusterId: () => string | undefined;
}

/** The newest of the service's containers, whatever its state; undefined where there is none. */
export async function findContainer(
  { engine, clusterId }: ContainerSources,
  { project, service }: ServiceName,
  signal: AbortSignal,
): Promise<ContainerSummary | undefined> {
  const cluster = clusterId();
  if (cluster === undefined) {
    return undefined;
  }
  const labels = { ...clusterFilter(cluster, project), [LABEL.service]: service };
  const found = await engine.listContainers({ labels, all: true }, signal);
  return found.toSorted((left, right) => right.createdAtMs - left.createdAtMs)[0];
}

/** @param action what cannot be done without it, such as "connect to" @throws {ApiError} NotRunning */
export async function getRunningContainer(
  sources: ContainerSources,
  name: ServiceName & { readonly action: string },
  signal: AbortSignal,
): Promise<ContainerDetail> {
  const found = await findContainer(sources, name, signal);
  const detail = found && (await sources.engine.inspectContainer(found.id, signal));
  const what = `Cannot ${name.action} ${name.project}/${name.service}`;
  if (detail === undefined) {
    throw new ApiError('NotRunning', `${what} as it has no container on this node yet`);
  }
  const { status, exitCode, finishedAt, isRunning } = detail.state;
  if (!isRunning) {
    const since = finishedAt === undefined ? '' : `, ended with exit code ${exitCode} at ${finishedAt.slice(0, 19)}Z`;
    throw new ApiError('NotRunning', `${what} as its container does not run: it is ${status}${since}`);
  }
  return detail;
}

/** The `project` and `service` of a route's path. */
export function serviceOf(params: Readonly<Record<string, string>>): ServiceName {
  return { project: params['project'] ?? '', service: params['service'] ?? '' };
}
