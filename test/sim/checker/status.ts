/** Promise 8, as far as it can be said at any moment: where nothing has been disturbed for a while, Running is so. */
import type { ProjectObject } from '../../../src/api/project.ts';
import { isGoing } from '../ledger.ts';
import type { World } from '../world/world.ts';

/** What a Project that is Running lacks on its machine; undefined: nothing. */
export function findUntruth(world: World, project: ProjectObject): string | undefined {
  const { metadata, spec, status } = project;
  const machine = status.nodeRef === undefined ? undefined : world.machines.get(status.nodeRef);
  if (status.phase !== 'Running' || machine === undefined || isGoing(project)) {
    return undefined;
  }
  const containers = [...machine.model.containers.values()].filter(
    ({ spec: made, state }) => state.isRunning && made.labels['caravanserai.io/project-uid'] === metadata.uid,
  );
  const missing = spec.services.filter(
    ({ name, image }) => !containers.some(({ spec: made }) => made.labels['caravanserai.io/service'] === name && made.image === image),
  );
  return missing.length === 0
    ? undefined
    : `${metadata.name} is Running on ${machine.name}, where ${missing.map(({ name, image }) => `${name} of ${image}`).join(' and ')} does not run`;
}
