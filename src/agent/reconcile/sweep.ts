/** One look at everything of this cluster in the engine: what changed without an event, and what nobody asked for. */
import type { Labels, VolumeSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { clusterFilter, findContainerOwner, findOwner, findVolumeOwner, LABEL, type Owner } from '../docker/names.ts';
import { fingerprintOf } from './observe.ts';
import type { OwnerKey } from './orphans.ts';

interface Sweep {
  /** Project name -> what its part of the lists looks like; see `fingerprintOf`. */
  readonly fingerprints: ReadonlyMap<string, string>;
  /** Whose things there are, but for volumes that stay by themselves. */
  readonly owners: readonly OwnerKey[];
  /** Of this cluster. */
  readonly volumes: readonly VolumeSummary[];
}

export async function sweepEngine(engine: Engine, cluster: string, signal: AbortSignal): Promise<Sweep> {
  const labels = clusterFilter(cluster);
  const [containers, networks, volumes] = await Promise.all([
    engine.listContainers({ labels, all: true }, signal),
    engine.listNetworks({ labels }, signal),
    engine.listVolumes({ labels }, signal),
  ]);
  const owners = [
    ...containers.map((container) => findContainerOwner(container.labels)),
    ...networks.map((network) => findOwner(network.labels)),
    ...volumes.map((volume) => findVolumeOwner(volume.labels)).filter((owner) => owner?.volumeType === 'Ephemeral'),
  ].filter((owner): owner is Owner => owner?.cluster === cluster);
  const [containersOf, networksOf, volumesOf] = [byProject(containers), byProject(networks), byProject(volumes)];
  const projects = new Set([...containersOf.keys(), ...networksOf.keys(), ...volumesOf.keys()]);
  const fingerprints = [...projects].map((project) => {
    const lists = {
      containers: containersOf.get(project) ?? [],
      networks: networksOf.get(project) ?? [],
      volumes: volumesOf.get(project) ?? [],
    };
    return [project, fingerprintOf(lists)] as const;
  });
  return { fingerprints: new Map(fingerprints), owners: owners.map(({ project, projectUid }) => ({ project, uid: projectUid })), volumes };
}

function byProject<Item extends { readonly labels: Labels }>(items: readonly Item[]): Map<string, Item[]> {
  return Map.groupBy(items, ({ labels }) => labels[LABEL.project] ?? '');
}
