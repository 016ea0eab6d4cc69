/** Plans one service: the next step towards what the spec asks for, and what is true of it now: pure. */
import type { ServiceStatus } from '../../../api/project.ts';
import { judgeHealth } from '../../health/verdict.ts';
import { isCrashLooping, stableAtMs } from '../container-track.ts';
import { act, failing, RECHECK_MS, type Doing, type Site } from './doing.ts';
import type { Failure } from '../failure.ts';
import { findObstacle, findPortHolder } from './obstacles.ts';
import { awaitRestart, describeHealth, keepRestarts, restartUnhealthy, toHealthStatus, waitForHealth } from './plan-health.ts';
import { hostPathsOf } from '../desired/path-within.ts';
import { create, createStep, readSecrets } from './plan-create.ts';
import { clearFailed, freeAddress, handOver, replace, stopOthers } from './plan-update.ts';
import { isChanged, PROOF_MS } from '../desired/rollout.ts';
import type { Life, OurContainer, ServiceView } from './service-view.ts';
import type { Step } from '../steps.ts';

const MAX_MESSAGE = 4096; // as in the schema of ServiceStatus

export interface ServicePlan {
  readonly status: ServiceStatus;
  readonly failure: Failure | undefined;
  /** Set where this is a new version and has failed for good; undefined while it may yet come up. */
  readonly defeat?: Failure;
  /** What went wrong with a new version that is to be tried again before it is given up. */
  readonly tried?: Failure;
  /** Nothing is expected to happen to it any more. */
  readonly isStable: boolean;
}

export function planService(view: ServiceView, site: Site): ServicePlan {
  const doing = view.service.failure === undefined ? proceed(view, site) : { state: 'Failed' as const, failure: view.service.failure };
  const status = toStatus(view, doing, site);
  const isStable = status.ready && isUnshaken(view, site);
  if (doing.failure === undefined || !isChanged(site.rollout, view.service)) {
    return { status, failure: doing.failure, isStable };
  }
  if (isDefeated(view, doing)) {
    const defeat = describeDefeat(view, doing.failure);
    return { status: { ...status, state: 'Failed', message: defeat.message }, failure: doing.failure, isStable, defeat };
  }
  return doing.attempts === undefined
    ? { status, failure: doing.failure, isStable }
    : { status, failure: undefined, tried: doing.failure, isStable };
}

const TRIES = 3; // of making or starting the container of a new version
const DEFEATED: ReadonlySet<Life> = new Set(['unhealthy', 'crash-looping', 'ended']);

function isDefeated({ life, track, service, container }: ServiceView, { attempts = 0 }: Doing): boolean {
  const isCurrent = container?.owner.configHash === service.configHash;
  const hasEnded = DEFEATED.has(life) || ((life === 'down' || life === 'restarting') && isCrashLooping(track));
  return attempts >= TRIES || (isCurrent && hasEnded);
}

/** A sick one is not restarted first, as it would be later. */
function describeDefeat({ life, container }: ServiceView, failure: Failure): Failure {
  return life === 'unhealthy' && container !== undefined ? { reason: 'Unhealthy', message: describeHealth(container) } : failure;
}

/** Completed, healthy, or up for so long that a crash would be another story. */
function isUnshaken({ life, container, track }: ServiceView, site: Site): boolean {
  const isChecked = container !== undefined && judgeHealth(container).kind !== 'unchecked';
  return life === 'completed' || isChecked || stableAtMs(track, site.agenda.nowMs) === undefined;
}

function proceed(view: ServiceView, site: Site): Doing {
  const { service, container, life } = view;
  if (container === undefined || life === 'missing') {
    return create(service, site);
  }
  const clearing = clearFailed(view, site);
  if (clearing !== undefined) {
    return clearing;
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

function start(view: ServiceView, container: OurContainer, site: Site): Doing {
  site.agenda.keep(createStep(view.service));
  const obstacle = findObstacle(view.service, site) ?? findPortHolder(view.service, site);
  if (obstacle !== undefined) {
    return obstacle;
  }
  if (site.isNetworkDoubled) {
    return { state: 'Pending', message: 'Waiting until a second network of the same name is removed' };
  }
  const unready = stopOthers(view, site) ?? freeAddress(container, view.service, site);
  if (unready !== undefined) {
    return unready;
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
  const sick = view.life === 'down' ? awaitRestart(view, container, site.agenda) : undefined;
  if (sick !== undefined && doing.failure === undefined) {
    return sick;
  }
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
      return awaitProof(view, container, site) ?? handOver(view, container, site) ?? { state: 'Running' };
    case 'completed':
      return handOver(view, container, site) ?? { state: 'Completed' };
    case 'starting':
      return awaitHealth(view, container);
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

function awaitHealth(view: ServiceView, container: OurContainer): Doing {
  const { message, ...doing } = waitForHealth(view, container);
  return message === undefined ? doing : { ...doing, message: `${message}${servedMeanwhile(view)}` };
}

/** Holds a new version without a health check back until it has stayed up for a little while. */
function awaitProof(view: ServiceView, container: OurContainer, site: Site): Doing | undefined {
  const isNew = view.others.length > 0 || isChanged(site.rollout, view.service);
  const provenMs = (view.track?.upSinceMs ?? site.agenda.nowMs) + PROOF_MS;
  if (!isNew || judgeHealth(container).kind !== 'unchecked' || provenMs <= site.agenda.nowMs) {
    return undefined;
  }
  site.agenda.wakeAt(provenMs);
  const message = `Watched for ${PROOF_MS / 1000} s, as it has no health check${servedMeanwhile(view)}`;
  return { state: 'Starting', message };
}

function servedMeanwhile({ others }: ServiceView): string {
  return others.some(({ state }) => state.isRunning) ? '; the version before serves on' : '';
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
    ready: (state === 'Running' || state === 'Completed') && failure === undefined,
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
