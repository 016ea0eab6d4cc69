/**
 * Plans how one version of a service takes the place of another: pure.
 *
 * Start-first where two may run side by side: the new one stands beside the old one, under a name for a while and without the names by
 * which others call it; once it is ready it gets those names, the old one loses them, then ends, and the new one gets its own name.
 * A container keeps its address through that, so that open connections live on.
 *
 * Stop-first where a host port, a volume that it writes to or its being a task forbids that: the old one stops and is kept under another
 * name until the new one is ready, so that going back needs nothing but a start.
 *
 * Each step is found anew from what stands in the engine, and so is the way back: the version before is then the one that is asked for.
 */
import type { DesiredService } from '../desired.ts';
import { act, RECHECK_MS, type Doing, type Site } from './doing.ts';
import { findObstacle, holdsWantedPort } from './obstacles.ts';
import { create, prepare } from './plan-create.ts';
import { isUp } from './plan-teardown.ts';
import { goodHash, isChanged } from '../desired/rollout.ts';
import type { OurContainer, ServiceView } from './service-view.ts';
import type { Step } from '../steps.ts';
import { formatAddress, parseCidr } from '../subnet-pool.ts';

/** ms; longer than the second after which a connection attempt that got lost is repeated. */
const DRAIN_MS = 2000;

/**
 * Makes the new version where only an old one (`container`) is there. The images and the values of Secrets of all that changed are there
 * before anything is given up, and what the service depends on has been brought up to date, so that a spec that cannot work leaves the
 * old one running. Only a host port that another service now needs is given up at once.
 */
export function replace(view: ServiceView, container: OurContainer, site: Site): Doing {
  const { service, others } = view;
  const unprepared = prepare(service, site);
  if (unprepared !== undefined) {
    return unprepared;
  }
  const isCutOff = container.owner.configHash === service.configHash;
  if (isCutOff) {
    return putBack(view, container, site) ?? findObstacle(service, site) ?? retire(container, service, site);
  }
  if (!site.isPrepared) {
    return { state: 'Pending', message: 'Waiting until all that the change needs is there; the version before stays' };
  }
  const [surplus] = others; // of a change before this one
  if (surplus !== undefined) {
    return retire(surplus, service, site);
  }
  const obstacle = findObstacle(service, site);
  const isInTheWay = holdsWantedPort(container, service, site);
  if (obstacle !== undefined && !isInTheWay) {
    return obstacle;
  }
  if (service.canOverlap && !isInTheWay && container.state.status === 'running' && isOnNetwork(container, site)) {
    if (container.name === service.nextName) {
      // it took over, and had yet to get its name when another change came: the one after it needs the name that it stands under
      return saying('Its other version', act(site, rename(container, service), 'Creating'));
    }
    return create(service, site, { name: service.nextName, network: hiddenNetwork(service, site) });
  }
  return makeWay(view, container, site);
}

/** A version that was just being given its names when the agent died stands there without a network, and runs. */
function putBack({ service, others }: ServiceView, container: OurContainer, site: Site): Doing | undefined {
  const isMidway = container.name === service.nextName || others.length > 0;
  if (!isMidway || site.network === undefined || container.state.status !== 'running' || isOnNetwork(container, site)) {
    return undefined;
  }
  const { aliases, address } = hiddenNetwork(service, site); // likely the address that it had
  return attach(container, { service, aliases, address, site });
}

/** Stop-first. */
function makeWay({ service }: ServiceView, container: OurContainer, site: Site): Doing {
  if (isUp(container)) {
    return stop(container, service, site);
  }
  if (!isWorthKeeping(container, service, site)) {
    return retire(container, service, site);
  }
  if (container.name === service.containerName) {
    return act(site, { kind: 'renameContainer', service: service.name, containerId: container.id, name: service.previousName }, 'Creating');
  }
  return create(service, site);
}

/** It is what would be gone back to, and starting it again would bring it back. */
function isWorthKeeping({ owner, state }: OurContainer, service: DesiredService, { rollout }: Site): boolean {
  const isGood = goodHash(rollout, service.name) === owner.configHash && isChanged(rollout, service);
  return isGood && state.status === 'exited' && (service.restartPolicy === 'Always' || state.exitCode === 0);
}

/** Before a container starts that cannot run beside others. */
export function stopOthers({ service, others }: ServiceView, site: Site): Doing | undefined {
  const running = service.canOverlap ? undefined : others.find(isUp);
  return running && stop(running, service, site);
}

/** Takes a version away that was given up, at once unless others are served by it alone. */
export function clearFailed({ service, life, others }: ServiceView, site: Site): Doing | undefined {
  if (site.rollout?.failed === undefined || life === 'outdated' || life === 'missing') {
    return undefined;
  }
  const failed = others.find((other) => !service.canOverlap || !isUp(other) || !isPublished(other, service, site));
  return failed && retire(failed, service, site);
}

/** What is left to do when the version asked for is ready; undefined when nothing is. */
export function handOver({ service, others }: ServiceView, container: OurContainer, site: Site): Doing | undefined {
  const isSettled = others.length === 0 && container.name === service.containerName;
  if (isSettled) {
    return undefined;
  }
  const aliases = service.container.network?.aliases ?? [];
  if (container.state.status === 'running' && !aliases.every((alias) => aliasesOf(container, site).includes(alias))) {
    return attach(container, { service, aliases, address: addressOf(container, site), site });
  }
  const published = others.find((other) => other.state.status === 'running' && isPublished(other, service, site));
  if (published !== undefined && service.canOverlap) {
    return attach(published, { service, aliases: [], address: addressOf(published, site), site });
  }
  const draining = others.map((other) => drain(other, service, site)).find((doing) => doing !== undefined);
  if (draining !== undefined) {
    return draining;
  }
  const [leaving] = others;
  if (leaving !== undefined) {
    return retire(leaving, service, site);
  }
  const isNameFree = !site.containers.some(({ name }) => name === service.containerName);
  return isNameFree ? act(site, rename(container, service), 'Starting') : undefined;
}

function rename({ id }: OurContainer, { name, containerName }: DesiredService): Step {
  return { kind: 'renameContainer', service: name, containerId: id, name: containerName };
}

/**
 * Leaves a container that has lost its names a little time: who was just connecting to it while it was off the network tries again a second
 * later. An agent that was restarted meanwhile counts from its first look.
 */
function drain(container: OurContainer, { name }: DesiredService, { agenda, tracks }: Site): Doing | undefined {
  const network = { id: '', name: '' };
  const step = { kind: 'attachContainer', service: name, containerId: container.id, network, aliases: [] } as const;
  const untilMs = (agenda.doneAtMs(step) ?? tracks.get(container.id)?.upSinceMs ?? -Infinity) + DRAIN_MS;
  if (container.state.status !== 'running' || untilMs <= agenda.nowMs) {
    return undefined;
  }
  agenda.keep(step);
  agenda.wakeAt(untilMs);
  return { state: 'Starting', message: 'Leaving the version before time to finish what it has begun' };
}

/**
 * Gives a container that does not run any address where another has taken the one that it keeps: two kept the same since a restart of
 * the engine, say.
 */
export function freeAddress(container: OurContainer, service: DesiredService, site: Site): Doing | undefined {
  const { fixedAddress, aliases = [] } = container.networks[site.network?.name ?? ''] ?? {};
  const isTaken = site.containers.some(
    (other) => other.id !== container.id && other.state.isRunning && addressOf(other, site) === fixedAddress,
  );
  if (fixedAddress === undefined || !isTaken || site.network === undefined) {
    return undefined;
  }
  return attach(container, { service, aliases, address: undefined, site });
}

function stop(container: OurContainer, { name, stopGraceMs }: DesiredService, site: Site): Doing {
  const step: Step = { kind: 'stopContainer', service: name, containerId: container.id, graceMs: stopGraceMs };
  return saying('Its other version', act(site, step, 'Stopping'));
}

/** A service between two versions would else seem to be stopped or made itself. */
function saying(message: string, doing: Doing): Doing {
  return doing.failure === undefined ? { ...doing, message } : doing;
}

function retire(container: OurContainer, service: DesiredService, site: Site): Doing {
  if (container.state.status === 'removing') {
    site.agenda.wakeAt(site.agenda.nowMs + RECHECK_MS);
    return { state: 'Stopping', message: 'Waiting for the version before to be removed' };
  }
  if (isUp(container)) {
    return stop(container, service, site);
  }
  const isStuck = container.state.status === 'dead';
  const step: Step = { kind: 'removeContainer', service: service.name, containerId: container.id, isStuck };
  return saying('Removing its other version', act(site, step, 'Stopping'));
}

function attach(
  container: OurContainer,
  {
    service,
    aliases,
    address,
    site,
  }: {
    readonly service: DesiredService;
    readonly aliases: readonly string[];
    readonly address: string | undefined;
    readonly site: Site;
  },
): Doing {
  if (site.network === undefined) {
    return { state: 'Starting', message: 'Waiting for its network' };
  }
  const { id, name } = site.network;
  return act(
    site,
    {
      kind: 'attachContainer',
      service: service.name,
      containerId: container.id,
      network: { id, name },
      aliases,
      ...(address !== undefined && { address }),
    },
    'Starting',
  );
}

function isOnNetwork({ networks }: OurContainer, { network }: Site): boolean {
  return network !== undefined && networks[network.name] !== undefined;
}

function aliasesOf({ networks }: OurContainer, { network }: Site): readonly string[] {
  return networks[network?.name ?? '']?.aliases ?? [];
}

/** Whether others find it under a name of the service. */
function isPublished(container: OurContainer, { container: { network } }: DesiredService, site: Site): boolean {
  const aliases = aliasesOf(container, site);
  return (network?.aliases ?? []).some((alias) => aliases.includes(alias));
}

function addressOf({ networks }: OurContainer, { network }: Site): string | undefined {
  const { fixedAddress, ipAddress } = networks[network?.name ?? ''] ?? {};
  return fixedAddress ?? (ipAddress === '' ? undefined : ipAddress);
}

/** Without names, and with an address to keep: far from those that the engine hands out from the front, also after its restart. */
function hiddenNetwork({ name, container }: DesiredService, site: Site): { name: string; aliases: readonly string[]; address?: string } {
  const range = parseCidr(site.network?.subnets[0] ?? '');
  const taken = new Set(site.containers.map((other) => addressOf(other, site)));
  const position = [...site.views.byName.keys()].indexOf(name);
  const size = range === undefined ? 0 : range.last - range.first + 1;
  const free = [...Array(Math.max(0, size - 3)).keys()]
    .map((step) => (step < 2 ? 2 * position + step : step - 2)) // two of its own for each service, then any
    .map((offset) => (range?.last ?? 0) - 1 - offset)
    .filter((address) => address > (range?.first ?? 0) + 1) // the first is the gateway's
    .map(formatAddress)
    .find((address) => !taken.has(address));
  return { name: container.network?.name ?? '', aliases: [], ...(free !== undefined && { address: free }) };
}
