/**
 * Plan: compares what a Project asks for with what the engine holds, and says what to do next and what is true now: pure.
 *
 * Never    looks further than the next step of each thing: after every step the engine is looked at again.
 * Callers  project-loop.ts.
 * Source   balena-supervisor's application manager: the plan is found anew from the state, never carried on from memory.
 */
import type { StatusReport } from '../../api/project.ts';
import { Agenda, type AgendaOptions } from './plan/agenda.ts';
import type { ContainerTrack } from './container-track.ts';
import type { DesiredProject } from './desired.ts';
import type { Failure } from './failure.ts';
import type { ObservedProject } from './observe.ts';
import { planFence } from './plan/plan-fence.ts';
import { planRecall } from './plan/plan-recall.ts';
import type { Site } from './plan/doing.ts';
import { heldPorts } from './plan/obstacles.ts';
import { prepare } from './plan/plan-create.ts';
import { findDefeat, type Defeat } from './plan/plan-defeat.ts';
import { planInfrastructure } from './plan/plan-infrastructure.ts';
import { summarize, toReport } from './plan/plan-report.ts';
import { planService, type ServicePlan } from './plan/plan-service.ts';
import { isRemovable, leavingStatus, planTeardown } from './plan/plan-teardown.ts';
import { goodHash, isChanged, isUpdating, type Rollout } from './desired/rollout.ts';
import type { SecretValues } from './secret-cache.ts';
import { viewServices, type OurContainer, type ServiceView } from './plan/service-view.ts';
import type { Step } from './steps.ts';
import type { LostContainer } from './track-keeper.ts';

const NONE_LOST: ReadonlyMap<string, LostContainer> = new Map();

/** What is to become of a Project on this node. */
export type Target =
  /** `isHeld`: what runs runs on, and nothing is started or replaced. */
  | { readonly kind: 'run'; readonly desired: DesiredProject; readonly isHeld?: boolean; readonly rollout?: Rollout }
  /** May run elsewhere by now: stop it, and wait. */
  | { readonly kind: 'fenced'; readonly desired: DesiredProject }
  /** Runs on the machine that this is a copy of: take back what was started here (container ids), and tell nobody. */
  | { readonly kind: 'recalled'; readonly desired: DesiredProject; readonly started: ReadonlySet<string> }
  /** Deleted: take everything away, and tell. */
  | { readonly kind: 'terminate'; readonly desired: DesiredProject }
  /** No longer ours: take everything of this uid away. `desired` is the last spec known. */
  | { readonly kind: 'remove'; readonly uid: string; readonly desired: DesiredProject | undefined };

export interface PlanInput extends AgendaOptions {
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
  /** Monotonic ms since which what services do has not changed. */
  readonly quietSinceMs?: number;
}

export interface Plan {
  /** Next steps, which may run side by side. */
  readonly steps: readonly Step[];
  /** Keys of all steps that are needed, also of those that must wait; back-off of others can be forgotten. */
  readonly wanted: ReadonlySet<string>;
  /** What to tell the server; undefined for a Project that is no longer ours. */
  readonly report: StatusReport | undefined;
  /** Every service is what is asked for, and has been for long enough to come back to it. */
  readonly isGood: boolean;
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
      const plan = planRun(target, input, agenda);
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

function planRun({ desired, rollout }: TargetOf<'run'>, input: PlanInput, agenda: Agenda): Plan {
  const superseded = findSuperseded(input.observed, desired);
  if (superseded !== undefined) {
    return planSupersession(desired, superseded, { agenda, isAuthoritative: input.isAuthoritative });
  }
  const own = ofUid(input.observed, desired.uid);
  const site = createSite({ desired, rollout, own }, input, agenda);
  const { views } = site;
  const plans = [...views.byName.values()].map((view) => planService(view, site));
  const isUpdate = rollout !== undefined && isUpdating(rollout);
  const isReady = plans.every(({ status }) => status.ready);
  planSurplus(isUpdate && !isReady ? views.surplus.filter((surplus) => isInTheWay(surplus, desired)) : views.surplus, {
    desired,
    own,
    agenda,
  });
  const defeat = isUpdate ? findDefeat(plans, { site, quietMs: input.nowMs - (input.quietSinceMs ?? input.nowMs) }) : undefined;
  if (rollout !== undefined && defeat !== undefined) {
    return planRollBack({ desired, rollout, defeat, plans }, input, agenda);
  }
  const report = { ...summarize(desired, plans, { agenda, rollout }), ...(rollout && { goodGeneration: rollout.good?.generation ?? 0 }) };
  return { ...toPlan(agenda, report), isGood: isReady && isProven(plans, rollout) };
}

/** What the planners of services share; asks for what the Project needs as a whole, and for what a change needs before any of it begins. */
function createSite(
  { desired, rollout, own }: { readonly desired: DesiredProject; readonly rollout: Rollout | undefined; readonly own: ObservedProject },
  { tracks, nowMs, secrets, lost = NONE_LOST }: PlanInput,
  agenda: Agenda,
): Site {
  const findGoodHash = (service: string): string | undefined => goodHash(rollout, service);
  const views = viewServices(desired, own, { tracks, nowMs, goodHash: findGoodHash });
  const infrastructure = planInfrastructure(desired, own, agenda);
  const imageDigests = digestsOf(own);
  const shared = { agenda, views, ...infrastructure, containers: own.containers, tracks, secrets, imageDigests, lost, rollout };
  return { ...shared, isPrepared: isPrepared({ ...shared, isPrepared: true }) };
}

/** Whether what runs is what one would come back to; what was so before is so under a new number too. */
function isProven(plans: readonly ServicePlan[], rollout: Rollout | undefined): boolean {
  return rollout?.failed === undefined && (rollout?.good?.version === rollout?.version || plans.every(({ isStable }) => isStable));
}

type TargetOf<Kind extends Target['kind']> = Extract<Target, { readonly kind: Kind }>;

/** Whether all is there that the services need which are to be replaced, or that come new with them. */
function isPrepared(site: Site): boolean {
  const views = [...site.views.byName.values()];
  const isReplaced = ({ life, service, container }: ServiceView): boolean =>
    life === 'outdated' && container?.owner.configHash !== service.configHash;
  const made = views.filter((view) => isReplaced(view) || (view.life === 'missing' && isChanged(site.rollout, view.service)));
  const open = made.filter(({ service }) => service.failure !== undefined || prepare(service, site) !== undefined);
  return open.length === 0 || !views.some(isReplaced);
}

/** Whether a service that the spec no longer has holds something that one of the new spec needs; else it goes when they are up. */
function isInTheWay(container: OurContainer, { services }: DesiredProject): boolean {
  const ports = heldPorts(container);
  const sources = container.mounts.map(({ source }) => source);
  return services.some(
    ({ hostPorts, volumeNames, container: { network } }) =>
      hostPorts.some((port) => ports.includes(port)) ||
      volumeNames.some((name) => sources.includes(name)) ||
      network?.aliases.includes(container.owner.service),
  );
}

/** Nothing else is done until what failed is written down; then the version before is what is asked for. */
function planRollBack(
  rollBack: {
    readonly desired: DesiredProject;
    readonly rollout: Rollout;
    readonly defeat: Defeat;
    readonly plans: readonly ServicePlan[];
  },
  input: PlanInput,
  agenda: Agenda,
): Plan {
  const { desired, rollout, defeat, plans } = rollBack;
  const only = new Agenda(input);
  only.add({ kind: 'rollBack', ...defeat, version: rollout.version });
  const failure = { reason: 'RollingBack' as const, message: `${defeat.service}: ${defeat.cause.message}` };
  const report: StatusReport = {
    ...toReport(desired, 'Scheduled', { services: plans.map(({ status }) => status), failures: [failure] }),
    ...(rollout.good && { goodGeneration: rollout.good.generation }),
  };
  return { ...toPlan(only, report), wanted: new Set([...agenda.wanted, ...only.wanted]) };
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

/** Containers of services that the spec no longer has go at once, in the order of a teardown. */
function planSurplus(
  surplus: readonly OurContainer[],
  { desired, own, agenda }: { desired: DesiredProject; own: ObservedProject; agenda: Agenda },
): void {
  if (surplus.length > 0) {
    planTeardown({ ...own, containers: surplus, networks: [], volumes: [] }, desired, agenda);
  }
}

function toPlan(agenda: Agenda, report: StatusReport | undefined): Plan {
  return { steps: agenda.steps, wanted: agenda.wanted, report, isGood: false, isDone: false, wakeAtMs: agenda.wakeAtMs };
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
