/**
 * Plan: compares what a Project asks for with what the engine holds, and says what to do next and what is true now: pure.
 *
 * Never    looks further than the next step of each thing: after every step the engine is looked at again.
 * Callers  project-loop.ts.
 * Source   balena-supervisor's application manager: the plan is found anew from the state, never carried on from memory.
 */
import type { ProjectPhase, ServiceStatus, StatusReport } from '../../api/project.ts';
import { Agenda, type AgendaOptions } from './agenda.ts';
import type { ContainerTrack } from './container-track.ts';
import type { DesiredProject } from './desired.ts';
import type { Failure } from './failure.ts';
import type { ObservedProject } from './observe.ts';
import { planFence } from './plan-fence.ts';
import { planRecall } from './plan-recall.ts';
import { planService, type ServicePlan, type Site } from './plan-service.ts';
import { isRemovable, leavingStatus, planTeardown } from './plan-teardown.ts';
import type { SecretValues } from './secret-cache.ts';
import { viewServices, type OurContainer } from './service-view.ts';
import type { Step } from './steps.ts';
import type { LostContainer } from './track-keeper.ts';

const NONE_LOST: ReadonlyMap<string, LostContainer> = new Map();
const MAX_MESSAGE = 16_384; // as in the schema of StatusReport

/** What is to become of a Project on this node. */
export type Target =
  /** `isHeld`: what runs runs on, and nothing is started or replaced. */
  | { readonly kind: 'run'; readonly desired: DesiredProject; readonly isHeld?: boolean }
  /** May run elsewhere by now: stop it, and wait. */
  | { readonly kind: 'fenced'; readonly desired: DesiredProject }
  /** Runs on the machine that this is a copy of: take back what was started here (container ids), and tell nobody. */
  | { readonly kind: 'recalled'; readonly desired: DesiredProject; readonly started: ReadonlySet<string> }
  /** Deleted: take everything away, and tell. */
  | { readonly kind: 'terminate'; readonly desired: DesiredProject }
  /** No longer ours: take everything of this uid away. `desired` is the last spec known. */
  | { readonly kind: 'remove'; readonly uid: string; readonly desired: DesiredProject | undefined };

interface PlanInput extends AgendaOptions {
  readonly target: Target;
  /** Everything under the Project's name, whatever its uid. */
  readonly observed: ObservedProject;
  /** Container id -> track. */
  readonly tracks: ReadonlyMap<string, ContainerTrack>;
  /** Service -> the record of a container that someone took away. */
  readonly lost?: ReadonlyMap<string, LostContainer>;
  /** Secret name -> values at hand. */
  readonly secrets: ReadonlyMap<string, SecretValues>;
  /** Whether the server itself has said what runs here; the file's word is not enough to clear anything away for. */
  readonly isAuthoritative: boolean;
  /** Ids of containers that ran until the fence stopped them. */
  readonly interrupted?: ReadonlySet<string>;
}

export interface Plan {
  /** Next steps, which may run side by side. */
  readonly steps: readonly Step[];
  /** Keys of all steps that are needed, also of those that must wait; back-off of others can be forgotten. */
  readonly wanted: ReadonlySet<string>;
  /** What to tell the server; undefined for a Project that is no longer ours. */
  readonly report: StatusReport | undefined;
  /** Nothing is left of it (terminate, remove). */
  readonly isDone: boolean;
  /** Monotonic ms at which to plan again though nothing happens. */
  readonly wakeAtMs: number;
}

export function planProject(input: PlanInput): Plan {
  const { target } = input;
  const agenda = new Agenda(input);
  switch (target.kind) {
    case 'remove': {
      const isDone = planTeardown(ofUid(input.observed, target.uid), target.desired, agenda);
      return { ...toPlan(agenda, undefined), isDone };
    }
    case 'terminate':
      return planTermination(target.desired, input, agenda);
    case 'fenced':
      return planFenced(target.desired, input, agenda);
    case 'recalled':
      planRecall(target.desired, ofUid(input.observed, target.desired.uid), target.started, agenda);
      return toPlan(agenda, undefined);
    case 'run': {
      const plan = planRun(target.desired, input, agenda);
      return target.isHeld === true ? { ...plan, steps: [] } : plan;
    }
    default:
      return target satisfies never;
  }
}

function planTermination(desired: DesiredProject, { observed }: PlanInput, agenda: Agenda): Plan {
  const own = ofUid(observed, desired.uid);
  const isDone = planTeardown(own, desired, agenda);
  const services = own.containers.map(leavingStatus);
  return { ...toPlan(agenda, toReport(desired, isDone ? 'Terminated' : 'Terminating', { services, failures: agenda.failures })), isDone };
}

function planFenced(desired: DesiredProject, { observed, interrupted = new Set() }: PlanInput, agenda: Agenda): Plan {
  const services = planFence(desired, { own: ofUid(observed, desired.uid), agenda, interrupted });
  const failure: Failure = {
    reason: 'Fenced',
    message: 'Stopped on this node until the server grants it anew, as by now it may run on another: waiting for the server',
  };
  return toPlan(agenda, toReport(desired, 'Scheduled', { services, failures: [failure, ...agenda.failures] }));
}

function planRun(desired: DesiredProject, input: PlanInput, agenda: Agenda): Plan {
  const superseded = findSuperseded(input.observed, desired);
  if (superseded !== undefined) {
    return planSupersession(desired, superseded, { agenda, isAuthoritative: input.isAuthoritative });
  }
  const own = ofUid(input.observed, desired.uid);
  const views = viewServices(desired, own, { tracks: input.tracks, nowMs: input.nowMs });
  const infrastructure = planInfrastructure(desired, own, agenda);
  const site: Site = {
    agenda,
    views,
    ...infrastructure,
    secrets: input.secrets,
    imageDigests: digestsOf(own),
    lost: input.lost ?? NONE_LOST,
  };
  planSurplus(views.surplus, { desired, own, agenda });
  const plans = [...views.byName.values()].map((view) => planService(view, site));
  return toPlan(agenda, summarize(desired, plans, agenda));
}

/**
 * What stands under the Project's name but belongs to an earlier one that was deleted: names are unique in a cluster, so it
 * cannot be wanted any more, and it holds the names that are needed now. A Managed volume passes on to its successor.
 */
function findSuperseded(observed: ObservedProject, desired: DesiredProject): ObservedProject | undefined {
  const isOther = ({ owner }: { readonly owner: { readonly projectUid: string } }): boolean => owner.projectUid !== desired.uid;
  const containers = observed.containers.filter(isOther);
  const networks = observed.networks.filter(isOther);
  const volumes = observed.volumes.filter((volume) => isOther(volume) && isRemovable(volume, desired));
  return containers.length + networks.length + volumes.length === 0 ? undefined : { ...observed, containers, networks, volumes };
}

function planSupersession(
  desired: DesiredProject,
  superseded: ObservedProject,
  { agenda, isAuthoritative }: { agenda: Agenda; isAuthoritative: boolean },
): Plan {
  if (isAuthoritative) {
    planTeardown(superseded, undefined, agenda);
  }
  const message = isAuthoritative
    ? 'Waiting until what is left of an earlier Project of this name is gone'
    : 'Waiting for the server, as an earlier Project of this name is still here';
  const services = desired.services.map(({ name }) => ({ name, state: 'Pending' as const, ready: false, message }));
  return toPlan(agenda, toReport(desired, 'Scheduled', { services, failures: agenda.failures }));
}

/** Asks for network and volumes, and drops those that are no longer used. */
function planInfrastructure(
  desired: DesiredProject,
  own: ObservedProject,
  agenda: Agenda,
): Pick<Site, 'hasNetwork' | 'volumes' | 'volumeFailures'> {
  const hasNetwork = own.networks.some(({ name }) => name === desired.network.name);
  if (!hasNetwork) {
    agenda.add({ kind: 'createNetwork', ...desired.network });
  }
  for (const { name, id } of own.networks.filter((network) => network.name !== desired.network.name)) {
    agenda.add({ kind: 'removeNetwork', name, networkId: id });
  }
  const present = new Map(own.volumes.map((volume) => [volume.name, volume]));
  const volumeFailures = new Map<string, Failure>();
  for (const { name, volumeName, type, labels } of desired.volumes) {
    const volume = present.get(volumeName);
    if (volume === undefined) {
      agenda.add({ kind: 'createVolume', name: volumeName, labels });
    } else if (type === 'Managed' && volume.owner.volumeType !== 'Managed') {
      const message = `Cannot use volume "${name}" as Managed as it was made Ephemeral on this node and would go with the Project: give the Managed one another name and copy the data`;
      volumeFailures.set(volumeName, { reason: 'VolumeTypeChanged', message });
    }
  }
  planUnusedVolumes(desired, own, agenda);
  return { hasNetwork, volumes: new Set(present.keys()), volumeFailures };
}

function planUnusedVolumes(desired: DesiredProject, own: ObservedProject, agenda: Agenda): void {
  const asked = new Set([
    ...desired.volumes.map(({ volumeName }) => volumeName),
    ...desired.services.flatMap(({ volumeNames }) => volumeNames),
  ]);
  const mounted = new Set(own.containers.flatMap(({ mounts }) => mounts.map(({ source }) => source)));
  for (const volume of own.volumes) {
    if (!asked.has(volume.name) && !mounted.has(volume.name) && isRemovable(volume, desired)) {
      agenda.add({ kind: 'removeVolume', name: volume.name });
    }
  }
}

/** Containers of services that the spec no longer has go at once, in the order of a teardown. */
function planSurplus(
  surplus: readonly OurContainer[],
  { desired, own, agenda }: { desired: DesiredProject; own: ObservedProject; agenda: Agenda },
): void {
  if (surplus.length > 0) {
    planTeardown({ ...own, containers: surplus, networks: [], volumes: [] }, desired, agenda);
  }
}

function summarize(desired: DesiredProject, plans: readonly ServicePlan[], agenda: Agenda): StatusReport {
  const services = plans.map(({ status }) => status);
  const ofServices = plans.flatMap(({ status, failure }) =>
    failure === undefined ? [] : [{ reason: failure.reason, message: `${status.name}: ${failure.message}`, origin: failure }],
  );
  const others = agenda.failures.filter((failure) => !ofServices.some(({ origin }) => origin === failure));
  const failures = [...others, ...ofServices];
  if (failures.length > 0) {
    return toReport(desired, 'Failed', { services, failures });
  }
  return toReport(desired, services.every(({ ready }) => ready) ? 'Running' : 'Scheduled', { services, failures });
}

interface Findings {
  readonly services: readonly ServiceStatus[];
  readonly failures: readonly Failure[];
}

function toReport(desired: DesiredProject, phase: Exclude<ProjectPhase, 'Pending'>, { services, failures }: Findings): StatusReport {
  const why = failures[0]?.reason ?? (phase === 'Scheduled' ? 'Progressing' : undefined);
  const message = failures.length > 0 ? failures.map((failure) => failure.message).join('; ') : describeProgress(phase, services);
  return {
    phase,
    ...(why !== undefined && { reason: why }),
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE) }),
    assignment: desired.assignment,
    uid: desired.uid,
    observedGeneration: desired.generation,
    services: [...services],
  };
}

function describeProgress(phase: ProjectPhase, services: readonly ServiceStatus[]): string | undefined {
  const pending = services.filter(({ ready }) => !ready);
  return phase === 'Scheduled' && pending.length > 0 ? pending.map(({ name, state }) => `${name} ${state}`).join(', ') : undefined;
}

function toPlan(agenda: Agenda, report: StatusReport | undefined): Plan {
  return { steps: agenda.steps, wanted: agenda.wanted, report, isDone: false, wakeAtMs: agenda.wakeAtMs };
}

function digestsOf({ images }: ObservedProject): ReadonlyMap<string, string> {
  return new Map([...images].map(([reference, { digest, id }]) => [reference, digest ?? id]));
}

/** A Managed volume belongs to the Project of its name for all time, whatever the uid on its label. */
function ofUid(observed: ObservedProject, uid: string): ObservedProject {
  return {
    ...observed,
    containers: observed.containers.filter(({ owner }) => owner.projectUid === uid),
    networks: observed.networks.filter(({ owner }) => owner.projectUid === uid),
    volumes: observed.volumes.filter(({ owner }) => owner.projectUid === uid || owner.volumeType === 'Managed'),
  };
}
