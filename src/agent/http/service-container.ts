/** The container that a service has on this node. Callers: the routes of the agent's API. */
import { ApiError } from '../../api/errors.ts';
import type { ContainerDetail, ContainerSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { clusterFilter, LABEL, networkName } from '../docker/names.ts';

export interface ServiceName {
  readonly project: string;
  readonly service: string;
}

export interface ContainerSources {
  readonly engine: Pick<Engine, 'listContainers' | 'inspectContainer'>;
  /** undefined before the agent has ever joined */
  readonly clusterId: () => string | undefined;
}

/** The newest of the service's containers, whatever its state; undefined where there is none. For who reads what it writes. */
export async function findContainer(
  sources: ContainerSources,
  name: ServiceName,
  signal: AbortSignal,
): Promise<ContainerSummary | undefined> {
  return (await listContainers(sources, name, signal))[0];
}

/**
 * The container that others reach under the service's name: not the new version that is still to prove itself beside it.
 * @param action what cannot be done without it, such as "connect to"
 * @throws {ApiError} NotRunning
 */
export async function getRunningContainer(
  sources: ContainerSources,
  name: ServiceName & { readonly action: string },
  signal: AbortSignal,
): Promise<ContainerDetail> {
  const found = await listContainers(sources, name, signal);
  const inspected = await Promise.all(found.map(async ({ id }) => await sources.engine.inspectContainer(id, signal)));
  const details = inspected.filter((container) => container !== undefined);
  const running = details.filter(({ state }) => state.isRunning);
  const detail = running.find((container) => isServing(container, name)) ?? running[0] ?? details[0];
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

function isServing({ networks }: ContainerDetail, { project, service }: ServiceName): boolean {
  return networks[networkName(project)]?.aliases.includes(service) === true;
}

/** The newest first. */
export async function listContainers(
  { engine, clusterId }: ContainerSources,
  { project, service }: ServiceName,
  signal: AbortSignal,
): Promise<readonly ContainerSummary[]> {
  const cluster = clusterId();
  if (cluster === undefined) {
    return [];
  }
  const labels = { ...clusterFilter(cluster, project), [LABEL.service]: service };
  const found = await engine.listContainers({ labels, all: true }, signal);
  return found.toSorted((left, right) => right.createdAtMs - left.createdAtMs);
}

/** The `project` and `service` of a route's path. */
export function serviceOf(params: Readonly<Record<string, string>>): ServiceName {
  return { project: params['project'] ?? '', service: params['service'] ?? '' };
}
