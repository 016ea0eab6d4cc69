/** Plans how what is left of a Project is taken away: dependents stop first, Managed volumes stay: pure. */
import type { ServiceStatus } from '../../../api/project.ts';
import type { Agenda } from './agenda.ts';
import type { DesiredProject } from '../desired.ts';
import type { ObservedProject } from '../observe.ts';
import type { OurContainer } from './service-view.ts';

const DEFAULT_GRACE_MS = 10_000; // Docker's own; for services of which no spec is known any more
const RECHECK_MS = 1000;

/** What is to go. */
type Leftovers = Pick<ObservedProject, 'containers' | 'networks' | 'volumes'>;

/** Tells whether a volume may go by itself: it says so on its own label, and no spec we know says otherwise. */
export function isRemovable({ name, owner }: Leftovers['volumes'][number], desired: DesiredProject | undefined): boolean {
  const isManagedNow = desired?.volumes.some((volume) => volume.volumeName === name && volume.type === 'Managed') ?? false;
  return owner.volumeType === 'Ephemeral' && !isManagedNow;
}

/**
 * Asks for the next steps of a teardown.
 * @param desired the last spec known, for the order and the grace; undefined: all stop at once
 * @returns whether nothing is left but Managed volumes
 */
export function planTeardown(leftovers: Leftovers, desired: DesiredProject | undefined, agenda: Agenda): boolean {
  const volumes = leftovers.volumes.filter((volume) => isRemovable(volume, desired));
  for (const container of leftovers.containers) {
    planContainer(container, { leftovers, desired, agenda });
  }
  if (leftovers.containers.length === 0) {
    for (const { name, id } of leftovers.networks) {
      agenda.add({ kind: 'removeNetwork', name, networkId: id });
    }
    for (const { name } of volumes) {
      agenda.add({ kind: 'removeVolume', name });
    }
  }
  return leftovers.containers.length + leftovers.networks.length + volumes.length === 0;
}

interface Teardown {
  readonly leftovers: Leftovers;
  readonly desired: DesiredProject | undefined;
  readonly agenda: Agenda;
}

function planContainer(container: OurContainer, { leftovers, desired, agenda }: Teardown): void {
  const names = { service: container.owner.service, containerId: container.id };
  if (container.state.status === 'removing') {
    agenda.wakeAt(agenda.nowMs + RECHECK_MS);
  } else if (!isUp(container)) {
    agenda.add({ kind: 'removeContainer', ...names, isStuck: container.state.status === 'dead' });
  } else if (!hasDependentUp(container, leftovers, desired)) {
    planStop(container, desired, agenda);
  }
}

/** Asks for the stop of one container, with the grace of its service. */
export function planStop({ id, owner }: OurContainer, desired: DesiredProject | undefined, agenda: Agenda): void {
  const service = desired?.services.find(({ name }) => name === owner.service);
  agenda.add({ kind: 'stopContainer', service: owner.service, containerId: id, graceMs: service?.stopGraceMs ?? DEFAULT_GRACE_MS });
}

export function isUp({ state }: OurContainer): boolean {
  return state.isRunning || state.status === 'restarting' || state.status === 'paused';
}

/** Orders follow `services`, in which what is depended on comes first, so that a circle cannot hold up a teardown. */
export function hasDependentUp(
  container: OurContainer,
  { containers }: Pick<Leftovers, 'containers'>,
  desired: DesiredProject | undefined,
): boolean {
  const services = desired?.services ?? [];
  const position = services.findIndex(({ name }) => name === container.owner.service);
  const dependents = services
    .filter(({ dependsOn }, index) => index > position && dependsOn.some(({ service }) => service === container.owner.service))
    .map(({ name }) => name);
  return containers.some((other) => dependents.includes(other.owner.service) && isUp(other));
}

/** What to tell of a service that is going. */
export function leavingStatus(container: OurContainer): ServiceStatus {
  return {
    name: container.owner.service,
    state: 'Stopping',
    ready: false,
    containerId: container.id,
    restarts: container.restartCount,
    image: container.image,
    ...(container.state.status === 'exited' && { exitCode: container.state.exitCode }),
    ...(container.state.startedAt !== undefined && { startedAt: container.state.startedAt }),
  };
}
