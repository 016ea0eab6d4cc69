/** Plans the network and the volumes that a Project's services share: pure. */
import type { Agenda } from './agenda.ts';
import type { DesiredProject } from '../desired.ts';
import type { Site } from './doing.ts';
import type { Failure } from '../failure.ts';
import type { ObservedProject } from '../observe.ts';
import { isRemovable } from './plan-teardown.ts';

/** Asks for network and volumes, and drops those that are no longer used. */
export function planInfrastructure(
  desired: DesiredProject,
  own: ObservedProject,
  agenda: Agenda,
): Pick<Site, 'network' | 'isNetworkDoubled' | 'volumes' | 'volumeFailures'> {
  const network = findNetwork(desired, own);
  if (network === undefined) {
    agenda.add({ kind: 'createNetwork', ...desired.network });
  }
  const surplus = own.networks.filter((other) => other !== network);
  for (const { name, id } of surplus) {
    agenda.add({ kind: 'removeNetwork', name, networkId: id });
  }
  const isNetworkDoubled = surplus.some(({ name }) => name === desired.network.name);
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
  return { network, isNetworkDoubled, volumes: new Set(present.keys()), volumeFailures };
}

/**
 * An engine that was making a network when its agent was killed may end that after the next agent made another of the same name, which it
 * lets pass. The one that containers were started on stays, as they know it by its id; else the same one each time.
 */
function findNetwork(desired: DesiredProject, own: ObservedProject): ObservedProject['networks'][number] | undefined {
  const used = new Set(own.containers.flatMap(({ networks }) => Object.values(networks).map(({ networkId }) => networkId)));
  const named = own.networks.filter(({ name }) => name === desired.network.name).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return named.find(({ id }) => used.has(id)) ?? named[0];
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
