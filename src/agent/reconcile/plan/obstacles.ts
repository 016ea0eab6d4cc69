/** What keeps a service from starting though all that it is made of is there: dependencies and host ports: pure. */
import { dependencyFailure, type Dependency } from '../desired/dependencies.ts';
import type { DesiredService } from '../desired.ts';
import { failing, type Doing, type Site } from './doing.ts';
import { judgeDependency, type OurContainer, type ServiceView } from './service-view.ts';

/** The first dependency that keeps a service from starting. */
export function findObstacle(service: DesiredService, site: Site): Doing | undefined {
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

/** A container of another service on its way out that still holds a host port which this one needs; its own are stopped by it. */
export function findPortHolder(service: DesiredService, { views }: Site): Doing | undefined {
  const others = [...views.byName.values()].filter((view) => view.service.name !== service.name);
  const outgoing = [...views.surplus, ...others.flatMap(outgoingOf)];
  const holder = outgoing.find((container) => heldPorts(container).some((port) => service.hostPorts.includes(port)));
  return holder === undefined ? undefined : { state: 'Waiting', message: `Waiting for ${holder.owner.service} to give up its host port` };
}

function outgoingOf({ life, container, others }: ServiceView): readonly OurContainer[] {
  return life === 'outdated' && container !== undefined ? [container, ...others] : others;
}

export function holdsWantedPort(container: OurContainer, service: DesiredService, { views }: Site): boolean {
  const others = [...views.byName.values()].filter((view) => view.service.name !== service.name);
  const wanted = new Set(others.flatMap((view) => view.service.hostPorts));
  return heldPorts(container).some((port) => wanted.has(port));
}

export function heldPorts({ ports }: OurContainer): readonly string[] {
  return ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`);
}
