/** Service view: one service's container, judged against what is asked for: pure. */
import type { ContainerDetail } from '../../docker/docker-types.ts';
import type { ContainerOwner } from '../../docker/names.ts';
import { judgeHealth } from '../../health/verdict.ts';
import { isCrashLooping, stableAtMs, type ContainerTrack } from '../container-track.ts';
import type { Dependency } from '../desired/dependencies.ts';
import type { DesiredProject, DesiredService } from '../desired.ts';
import type { ObservedProject, Owned } from '../observe.ts';

export type OurContainer = Owned<ContainerDetail, ContainerOwner>;

/**
 * Where the container is in its life. `current` containers are what the spec asks for; of an `outdated` one only that matters.
 * `down`: ended, and to be started again; `ended`: ended with an error, and never to be started again.
 */
export type Life =
  | 'missing'
  | 'outdated'
  | 'created'
  | 'starting'
  | 'running'
  | 'unhealthy'
  | 'crash-looping'
  | 'restarting'
  | 'paused'
  | 'completed'
  | 'ended'
  | 'down'
  | 'removing'
  | 'dead';

export interface ServiceView {
  readonly service: DesiredService;
  readonly container: OurContainer | undefined;
  readonly track: ContainerTrack | undefined;
  readonly life: Life;
  /** Other containers of the service: other versions on their way in or out. */
  readonly others: readonly OurContainer[];
}

export interface Views {
  /** Service name -> view. */
  readonly byName: ReadonlyMap<string, ServiceView>;
  /** Containers of ours that no service asks for. */
  readonly surplus: readonly OurContainer[];
}

interface ViewContext {
  readonly tracks: ReadonlyMap<string, ContainerTrack>;
  readonly nowMs: number;
  /** Service name -> config hash to go back to; preferred among those that are not what is asked for. */
  readonly goodHash?: (service: string) => string | undefined;
}

/** Finds each service its container. `observed` must hold this Project's own containers alone. */
export function viewServices(desired: DesiredProject, observed: ObservedProject, context: ViewContext): Views {
  const networkId = observed.networks.find(({ name }) => name === desired.network.name)?.id;
  const byName = new Map<string, ServiceView>();
  for (const service of desired.services) {
    const [container, ...others] = rankContainers(observed.containers, service, context.goodHash?.(service.name));
    const track = context.tracks.get(container?.id ?? '');
    byName.set(service.name, { service, container, track, others, life: judge({ service, container, track }, networkId, context.nowMs) });
  }
  return { byName, surplus: observed.containers.filter(({ owner }) => !byName.has(owner.service)) };
}

/** First what is asked for; else what would be gone back to, or runs. */
function rankContainers(
  containers: readonly OurContainer[],
  service: DesiredService,
  goodHash: string | undefined,
): readonly OurContainer[] {
  const rank = ({ owner, state, name }: OurContainer): number =>
    (owner.configHash === service.configHash ? 8 : 0) +
    (owner.configHash === goodHash ? 4 : 0) +
    (state.isRunning ? 2 : 0) +
    (name === service.containerName ? 1 : 0);
  return containers
    .filter(({ owner }) => owner.service === service.name)
    .toSorted((left, right) => rank(right) - rank(left) || (left.id < right.id ? -1 : 1));
}

function judge({ service, container, track }: Omit<ServiceView, 'life' | 'others'>, networkId: string | undefined, nowMs: number): Life {
  if (container === undefined) {
    return 'missing';
  }
  const { status } = container.state;
  const isGoing = status === 'removing' || status === 'dead';
  if (!isGoing && container.owner.configHash !== service.configHash) {
    return 'outdated';
  }
  const life = judgeState(container, service, { track, nowMs });
  return isCutOff({ service, container, life }, networkId) ? 'outdated' : life;
}

function judgeState(
  container: OurContainer,
  service: DesiredService,
  { track, nowMs }: { track: ContainerTrack | undefined; nowMs: number },
): Exclude<Life, 'missing' | 'outdated'> {
  const { status } = container.state;
  switch (status) {
    case 'created':
    case 'paused':
    case 'restarting':
    case 'removing':
    case 'dead':
      return status;
    case 'running':
      if (isCrashLooping(track) && stableAtMs(track, nowMs) !== undefined) {
        return 'crash-looping';
      }
      return judgeRunning(container);
    case 'exited':
      return isCutShort(track) && service.restartPolicy === 'OnFailure' ? 'down' : judgeEnd(service, container);
    default:
      return status satisfies never;
  }
}

function judgeRunning(container: OurContainer): 'running' | 'starting' | 'unhealthy' {
  const { kind } = judgeHealth(container);
  return kind === 'unchecked' || kind === 'healthy' ? 'running' : kind;
}

/** What was stopped as unhealthy, or with its engine, is not done, though it may end with code 0. */
function isCutShort(track: ContainerTrack | undefined): boolean {
  return track !== undefined && (track.sickness !== undefined || track.lastExit?.reason === 'EngineStopped');
}

function judgeEnd({ restartPolicy }: DesiredService, { state }: OurContainer): 'down' | 'completed' | 'ended' {
  if (restartPolicy === 'Always' || state.error !== '') {
    return 'down'; // with an error it did not run at all the last time
  }
  if (state.exitCode === 0) {
    return 'completed';
  }
  return restartPolicy === 'OnFailure' ? 'down' : 'ended';
}

/** It runs, or is to: not done, paused, or on its way out. */
const WANTS_NETWORK: ReadonlySet<Life> = new Set(['created', 'down', 'restarting', 'starting', 'running', 'unhealthy', 'crash-looping']);

interface Attachment {
  readonly service: DesiredService;
  readonly container: OurContainer;
  readonly life: Life;
}

/**
 * True for a container that has to be made anew to be on the Project's network: it remembers that by id and cannot start once it
 * is gone, even where a new one has its name; or someone took it off, and it runs where no other service reaches it.
 */
function isCutOff({ service, container, life }: Attachment, networkId: string | undefined): boolean {
  const name = service.container.network?.name;
  if (name === undefined || networkId === undefined) {
    return false;
  }
  const joinedId = container.networks[name]?.networkId;
  const isElsewhere = joinedId !== undefined && joinedId !== '' && joinedId !== networkId && joinedId !== name; // Podman's id is the name
  const isTakenOff = joinedId === undefined && life !== 'created';
  return WANTS_NETWORK.has(life) && (isElsewhere || isTakenOff);
}

type DependencyVerdict = 'met' | 'unmet' | { readonly impossible: string };

/** Tells whether a service that depends on `view`'s may start. */
export function judgeDependency({ condition }: Dependency, { service, container, life }: ServiceView): DependencyVerdict {
  if (life === 'ended' && condition !== 'Started') {
    return {
      impossible: `depends on "${service.name}", which ended with code ${container?.state.exitCode ?? 0} and is not to be restarted`,
    };
  }
  switch (condition) {
    case 'Started':
      return ['starting', 'running', 'unhealthy', 'completed', 'ended'].includes(life) ? 'met' : 'unmet';
    case 'Healthy':
      if (life === 'running' && container !== undefined && judgeHealth(container).kind === 'unchecked') {
        return { impossible: `waits for "${service.name}" to be healthy, which has no health check: give it one, or depend on Started` };
      }
      if (life === 'completed') {
        return { impossible: `waits for "${service.name}" to be healthy, which has completed: depend on Completed` };
      }
      return life === 'running' ? 'met' : 'unmet';
    case 'Completed':
      if (service.restartPolicy === 'Always') {
        return {
          impossible: `waits for "${service.name}" to complete, which is always restarted: give that one restartPolicy OnFailure or Never`,
        };
      }
      return life === 'completed' ? 'met' : 'unmet';
    default:
      return condition satisfies never;
  }
}
