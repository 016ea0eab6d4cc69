/** Plans one service: the next step towards what the spec asks for, and what is true of it now: pure. */
import type { ServiceState, ServiceStatus } from '../../api/project.ts';
import type { Agenda } from './agenda.ts';
import { isCrashLooping, stableAtMs } from './container-track.ts';
import { dependencyFailure, type Dependency } from './dependencies.ts';
import type { DesiredService } from './desired.ts';
import type { Failure } from './failure.ts';
import { keepRestarts, restartUnhealthy, toHealthStatus, waitForHealth } from './plan-health.ts';
import { hostPathsOf } from './path-within.ts';
import { findInvalid, hasValues } from './resolve-inputs.ts';
import type { SecretValues } from './secret-cache.ts';
import { isReady, judgeDependency, type Life, type OurContainer, type ServiceView, type Views } from './service-view.ts';
import type { Step } from './steps.ts';
import type { LostContainer } from './track-keeper.ts';

const RECHECK_MS = 1000; // for what ends without an event that we could trust, such as a removal
const MAX_MESSAGE = 4096; // as in the schema of ServiceStatus

/** What the services of a Project share. */
export interface Site {
  readonly agenda: Agenda;
  readonly views: Views;
  readonly hasNetwork: boolean;
  /** Names in the engine of the volumes that may be mounted. */
  readonly volumes: ReadonlySet<string>;
  /** Name in the engine -> why the volume may not be mounted. */
  readonly volumeFailures: ReadonlyMap<string, Failure>;
  /** Secret name -> values at hand. */
  readonly secrets: ReadonlyMap<string, SecretValues>;
  /** Image reference or id -> digest from the registry, or else the image's id. */
  readonly imageDigests: ReadonlyMap<string, string>;
  /** Service -> the record of a container that someone took away. */
  readonly lost: ReadonlyMap<string, LostContainer>;
}

export interface ServicePlan {
  readonly status: ServiceStatus;
  readonly failure: Failure | undefined;
}

/** What a service is doing; `failure` where it cannot be brought up as things are. */
interface Doing {
  readonly state: ServiceState;
  readonly message?: string | undefined;
  readonly failure?: Failure | undefined;
}

export function planService(view: ServiceView, site: Site): ServicePlan {
  const doing = view.service.failure === undefined ? proceed(view, site) : { state: 'Failed' as const, failure: view.service.failure };
  return { status: toStatus(view, doing, site), failure: doing.failure };
}

function proceed(view: ServiceView, site: Site): Doing {
  const { service, container, life } = view;
  if (container === undefined || life === 'missing') {
    return create(service, site);
  }
  switch (life) {
    case 'outdated':
      return replace(view, container, site);
    case 'created':
    case 'down':
      return start(view, container, site);
    case 'removing':
      site.agenda.wakeAt(site.agenda.nowMs + RECHECK_MS);
      return { state: 'Stopping', message: 'Being removed' };
    case 'dead':
      return act(site, { kind: 'removeContainer', service: service.name, containerId: container.id, isStuck: true }, 'Stopping');
    case 'starting':
    case 'running':
    case 'unhealthy':
    case 'crash-looping':
    case 'restarting':
    case 'paused':
    case 'completed':
    case 'ended':
      return watch(view, container, { life, site });
    default:
      return life satisfies never;
  }
}

function create(service: DesiredService, site: Site): Doing {
  const blocking = service.volumeNames.map((name) => site.volumeFailures.get(name)).find((failure) => failure !== undefined);
  if (blocking !== undefined) {
    return { state: 'Failed', failure: blocking };
  }
  const unread = readSecrets(service, site);
  if (unread !== undefined) {
    return unread;
  }
  const unpulled = pullImage(service, site);
  if (unpulled !== undefined) {
    return unpulled;
  }
  if (!site.hasNetwork || !service.volumeNames.every((name) => site.volumes.has(name))) {
    return { state: 'Pending', message: site.hasNetwork ? 'Waiting for its volumes' : 'Waiting for its network' };
  }
  return act(site, createStep(service), 'Creating');
}

function createStep({ name, containerName, container: spec, inputs }: DesiredService): Step {
  return { kind: 'createContainer', service: name, name: containerName, spec, ...(inputs !== undefined && { inputs }) };
}

/**
 * Pulls what a new container needs; undefined when it is there. With Always one pull does for a container, also where making it takes
 * many tries: that it was done is known for as long as each plan asks.
 */
function pullImage({ pull, container: { image } }: DesiredService, site: Site): Doing | undefined {
  const isThere = site.imageDigests.has(image);
  const isForced = pull.policy === 'Always';
  const step: Step = {
    kind: 'pullImage',
    image,
    ...(isForced && { isForced }),
    ...(pull.secrets.length > 0 && { secrets: pull.secrets }),
  };
  if (isThere && (!isForced || site.agenda.hasDone(step))) {
    if (isForced) {
      site.agenda.keep(step);
    }
    return undefined;
  }
  if (pull.policy === 'Never') {
    const message = `Cannot use image "${image}" as it is not on the node and its imagePullPolicy is Never: load it there, or set another policy`;
    return { state: 'Failed', failure: { reason: 'ImageNotPresent', message } };
  }
  return pull.missing === undefined ? act(site, step, 'Pulling') : { state: 'Failed', failure: pull.missing };
}

/** Reads the values that a new container needs; undefined when they are at hand and will do. */
function readSecrets({ name, configHash, inputs, missing }: DesiredService, site: Site): Doing | undefined {
  if (missing !== undefined) {
    return { state: 'Failed', failure: missing };
  }
  if (inputs === undefined) {
    return undefined;
  }
  if (!hasValues(inputs, site.secrets)) {
    return act(site, { kind: 'readSecrets', service: name, configHash, inputs }, 'Pending');
  }
  const invalid = findInvalid(inputs, site.secrets);
  return invalid === undefined ? undefined : { state: 'Failed', failure: invalid };
}

/**
 * Stop-first: the image and the values of Secrets are there before the old container stops, and what it depends on has been brought up to date, so that a
 * spec that cannot work leaves the old one running. Only a host port that another service now needs is given up at once.
 */
function replace({ service }: ServiceView, container: OurContainer, site: Site): Doing {
  const unread = readSecrets(service, site);
  if (unread !== undefined) {
    return unread;
  }
  const unpulled = pullImage(service, site);
  if (unpulled !== undefined) {
    return unpulled;
  }
  const obstacle = findObstacle(service, site);
  if (obstacle !== undefined && !holdsWantedPort(container, service, site)) {
    return obstacle;
  }
  const names = { service: service.name, containerId: container.id };
  if (container.state.isRunning || container.state.status === 'restarting') {
    return act(site, { kind: 'stopContainer', ...names, graceMs: service.stopGraceMs }, 'Stopping');
  }
  return act(site, { kind: 'removeContainer', ...names, isStuck: false }, 'Creating');
}

function start(view: ServiceView, container: OurContainer, site: Site): Doing {
  site.agenda.keep(createStep(view.service));
  const obstacle = findObstacle(view.service, site) ?? findPortHolder(view.service, site);
  if (obstacle !== undefined) {
    return obstacle;
  }
  const { name, inputs } = view.service;
  const isFirst = view.life === 'created' && inputs !== undefined && inputs.files.length > 0;
  const unread = isFirst ? readSecrets(view.service, site) : undefined;
  if (unread !== undefined) {
    return unread;
  }
  const hostPaths = hostPathsOf(view.service.container);
  const step: Step = {
    kind: 'startContainer',
    service: name,
    containerId: container.id,
    ...(isFirst && { inputs }),
    ...(hostPaths.length > 0 && { hostPaths }),
  };
  const doing = act(site, step, view.life === 'down' ? 'Restarting' : 'Starting');
  if (view.life === 'down' && doing.failure === undefined && isCrashLooping(view.track)) {
    return failing('Restarting', { reason: 'CrashLoop', message: describeLoop(view) });
  }
  return view.life === 'down' && doing.message === undefined ? { ...doing, message: describeEnd(view) } : doing;
}

type SettledLife = Exclude<Life, 'missing' | 'outdated' | 'created' | 'down' | 'removing' | 'dead'>;

/** A container that the engine keeps as it should: nothing to do but to tell. */
function watch(view: ServiceView, container: OurContainer, { life, site }: { life: SettledLife; site: Site }): Doing {
  const stableMs = stableAtMs(view.track, site.agenda.nowMs);
  if (stableMs !== undefined) {
    site.agenda.keep({ kind: 'startContainer', service: view.service.name, containerId: container.id });
    site.agenda.keep(createStep(view.service)); // someone may take it away again and again
    site.agenda.wakeAt(stableMs); // to forget it then
  }
  keepRestarts(view, container, site.agenda);
  switch (life) {
    case 'running':
      return { state: 'Running' };
    case 'completed':
      return { state: 'Completed' };
    case 'starting':
      return waitForHealth(view, container);
    case 'unhealthy':
      return restartUnhealthy(view, container, site.agenda);
    case 'paused':
      return failing('Unhealthy', {
        reason: 'Paused',
        message: `Someone paused the container on the node: run "docker unpause ${container.name}" there`,
      });
    case 'ended':
      return failing('Failed', { reason: 'Exited', message: `${describeEnd(view)}, and its restart policy is Never` });
    case 'crash-looping':
      return failing('Restarting', { reason: 'CrashLoop', message: describeLoop(view) });
    case 'restarting':
      return isCrashLooping(view.track)
        ? failing('Restarting', { reason: 'CrashLoop', message: describeLoop(view) })
        : { state: 'Restarting', message: describeEnd(view) };
    default:
      return life satisfies never;
  }
}

function failing(state: ServiceState, failure: Failure): Doing {
  return { state, failure };
}

/** Asks for a step; a step that failed before is told as failed until it succeeds, also while it is tried again. */
function act(site: Site, step: Step, state: ServiceState): Doing {
  const failure = site.agenda.add(step);
  return failure === undefined ? { state } : { state: 'Failed', failure };
}

/** The first dependency that keeps a service from starting. */
function findObstacle(service: DesiredService, site: Site): Doing | undefined {
  for (const dependency of service.dependsOn) {
    const view = site.views.byName.get(dependency.service);
    const verdict = view === undefined ? 'unmet' : judgeDependency(dependency, view);
    if (verdict === 'unmet') {
      return { state: 'Waiting', message: `Waiting for ${dependency.service} ${CONDITION_WORDS[dependency.condition]}` };
    }
    if (verdict !== 'met') {
      return failing('Failed', dependencyFailure(service.name, verdict.impossible));
    }
  }
  return undefined;
}

const CONDITION_WORDS: Record<Dependency['condition'], string> = {
  Started: 'to be started',
  Healthy: 'to be healthy',
  Completed: 'to complete',
};

/** A container of this Project on its way out that still holds a host port which the service needs. */
function findPortHolder(service: DesiredService, { views }: Site): Doing | undefined {
  const outgoing = [...views.surplus, ...[...views.byName.values()].flatMap((view) => (view.life === 'outdated' ? [view.container] : []))];
  const holder = outgoing.find(
    (container) => container !== undefined && heldPorts(container).some((port) => service.hostPorts.includes(port)),
  );
  return holder === undefined ? undefined : { state: 'Waiting', message: `Waiting for ${holder.owner.service} to give up its host port` };
}

function holdsWantedPort(container: OurContainer, service: DesiredService, { views }: Site): boolean {
  const others = [...views.byName.values()].filter((view) => view.service.name !== service.name);
  const wanted = new Set(others.flatMap((view) => view.service.hostPorts));
  return heldPorts(container).some((port) => wanted.has(port));
}

function heldPorts({ ports }: OurContainer): readonly string[] {
  return ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`);
}

function describeEnd({ container, track }: ServiceView): string {
  const end = track?.lastEnd ?? (container === undefined ? undefined : { ...container.state });
  if (end === undefined) {
    return 'The container ended';
  }
  const why = end.isOomKilled ? ', killed as it ran out of memory' : '';
  return `The container ended with code ${end.exitCode}${why}`;
}

function describeLoop(view: ServiceView): string {
  const restarter = view.service.container.restart?.name === 'no' ? 'agent' : 'engine'; // of a fenced Project
  return `${describeEnd(view)}; the ${restarter} has restarted it ${view.track?.restartsInRow ?? 0} times in a row`;
}

function toStatus(view: ServiceView, { state, message, failure }: Doing, site: Site): ServiceStatus {
  const { service, container, life, track } = view;
  const health = container && toHealthStatus(container);
  const { restarts, lastExit } = track ?? site.lost.get(service.name) ?? {};
  const text = (failure?.message ?? message)?.slice(0, MAX_MESSAGE);
  const hasEnded = container?.state.status === 'exited' || container?.state.status === 'restarting';
  const digest = container && site.imageDigests.get(container.imageId);
  return {
    name: service.name,
    state,
    ready: isReady(view) && failure === undefined,
    ...(text !== undefined && { message: text }),
    ...(restarts !== undefined && { restarts }),
    ...(container !== undefined && { containerId: container.id }),
    image: life === 'missing' || container === undefined ? service.container.image : container.image,
    ...(digest !== undefined && { imageDigest: digest }),
    ...(hasEnded && { exitCode: container.state.exitCode }),
    ...(health !== undefined && { health }),
    ...(lastExit !== undefined && { lastExit }),
    ...(container?.state.startedAt !== undefined && { startedAt: container.state.startedAt }),
    ...(service.ports !== undefined && { ports: service.ports }),
  };
}
