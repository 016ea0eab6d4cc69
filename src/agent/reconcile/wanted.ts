/** What the look at the engine needs to know of what is to run: pure. Callers: project-loop.ts */
import type { RestartSpec } from '../docker/docker-types.ts';
import type { DesiredProject } from './desired.ts';
import type { ObservedProject } from './observe.ts';

/** Container name -> image and config hash of what is to run; also of images that are kept for going back. */
export function wantedImages({ services }: DesiredProject): ReadonlyMap<string, { readonly image: string; readonly configHash: string }> {
  const kept = services.flatMap(({ containerName, keptImage, configHash }) =>
    keptImage === undefined ? [] : [[`${containerName} kept`, { image: keptImage, configHash }] as const],
  );
  return new Map([
    ...services.map(({ containerName, container, configHash }) => [containerName, { image: container.image, configHash }] as const),
    ...kept,
  ]);
}

/** How the engine restarts a container that is what the spec asks for. */
export function restartsOf({
  services,
}: DesiredProject): (container: ObservedProject['containers'][number]) => RestartSpec['name'] | undefined {
  const byHash = new Map(services.map(({ configHash, container }) => [configHash, container.restart?.name]));
  return ({ owner }) => byHash.get(owner.configHash);
}
