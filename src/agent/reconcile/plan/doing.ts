/** What the planners of services share: what they look at, and what they say of a service: pure. */
import type { ServiceState } from '../../../api/project.ts';
import type { NetworkSummary } from '../../docker/docker-types.ts';
import type { Agenda } from './agenda.ts';
import type { ContainerTrack } from '../container-track.ts';
import type { Failure } from '../failure.ts';
import type { Rollout } from '../desired/rollout.ts';
import type { SecretValues } from '../secret-cache.ts';
import type { OurContainer, Views } from './service-view.ts';
import type { Step } from '../steps.ts';
import type { LostContainer } from '../track-keeper.ts';

export const RECHECK_MS = 1000; // for what ends without an event that we could trust, such as a removal

/** What the services of a Project share. */
export interface Site {
  readonly agenda: Agenda;
  readonly views: Views;
  /** The Project's network; undefined while it has none. */
  readonly network: NetworkSummary | undefined;
  /** Another has the same name, and goes: until then the engine starts nothing on either, as it looks for them by name. */
  readonly isNetworkDoubled: boolean;
  /** All of the Project's containers. */
  readonly containers: readonly OurContainer[];
  /** Container id -> track. */
  readonly tracks: ReadonlyMap<string, ContainerTrack>;
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
  /** Undefined where nobody keeps track of versions. */
  readonly rollout: Rollout | undefined;
  /** False while something is missing that a changed service needs: then no service is replaced, as the change may never work. */
  readonly isPrepared: boolean;
}

/** What a service is doing; `failure` where it cannot be brought up as things are. */
export interface Doing {
  readonly state: ServiceState;
  readonly message?: string | undefined;
  readonly failure?: Failure | undefined;
  /** How often making or starting its container failed by its own fault; 0 where the engine's alone was seen. */
  readonly attempts?: number;
}

export function failing(state: ServiceState, failure: Failure): Doing {
  return { state, failure };
}

/** Asks for a step; a step that failed before is told as failed until it succeeds, also while it is tried again. */
export function act(site: Site, step: Step, state: ServiceState): Doing {
  const failure = site.agenda.add(step);
  if (failure === undefined) {
    return { state };
  }
  const isTrial = step.kind === 'createContainer' || step.kind === 'startContainer';
  return { state: 'Failed', failure, ...(isTrial && { attempts: site.agenda.refusalsOf(step) }) };
}
