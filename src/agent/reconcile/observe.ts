/**
 * Observe: what the engine holds of one Project, found by labels and read fresh for each plan.
 *
 * Never    looks at anything without this cluster's labels, nor believes names.
 */
import type { ContainerDetail, ImageDetail, Labels, NetworkSummary, VolumeSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import {
  clusterFilter,
  findContainerOwner,
  findOwner,
  findVolumeOwner,
  type ContainerOwner,
  type Owner,
  type VolumeOwner,
} from '../docker/names.ts';

/** Something of ours in the engine, and whose. */
export type Owned<Item, Of extends Owner = Owner> = Item & { readonly owner: Of };

export interface ObservedProject {
  readonly containers: readonly Owned<ContainerDetail, ContainerOwner>[];
  readonly networks: readonly Owned<NetworkSummary>[];
  readonly volumes: readonly Owned<VolumeSummary, VolumeOwner>[];
  /** Image reference or id -> the image; only of those asked for, and only where the engine has it. */
  readonly images: ReadonlyMap<string, ImageDetail>;
  /** Equal for two observations between which the lists did not change; see `fingerprintOf`. */
  readonly fingerprint: string;
}

interface ObserveRequest {
  readonly cluster: string;
  readonly project: string;
  /** Container name -> image reference and config hash: looked at unless a container of that name and hash runs on its network. */
  readonly imagesByContainer: ReadonlyMap<string, { readonly image: string; readonly configHash: string }>;
  /** Images known from the last observation: an image id never changes what it means. */
  readonly knownImages: ReadonlyMap<string, ImageDetail>;
}

export async function observeProject(engine: Engine, request: ObserveRequest, signal: AbortSignal): Promise<ObservedProject> {
  const labels = clusterFilter(request.cluster, request.project);
  const [summaries, networks, volumes] = await Promise.all([
    engine.listContainers({ labels, all: true }, signal),
    engine.listNetworks({ labels }, signal),
    engine.listVolumes({ labels }, signal),
  ]);
  const details = await Promise.all(summaries.map(async ({ id }) => await engine.inspectContainer(id, signal)));
  const containers = owned(
    details.filter((detail) => detail !== undefined),
    findContainerOwner,
    request.cluster,
  );
  return {
    containers,
    networks: owned(networks, findOwner, request.cluster),
    volumes: owned(volumes, findVolumeOwner, request.cluster),
    images: await observeImages(engine, { ...request, containers, networks }, signal),
    fingerprint: fingerprintOf({ containers: summaries, networks, volumes }),
  };
}

/** Looks at the images of what runs, for their digests, and at those that containers have yet to be made of. */
async function observeImages(
  engine: Engine,
  request: ObserveRequest & Pick<ObservedProject, 'containers'> & { readonly networks: readonly NetworkSummary[] },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ImageDetail>> {
  const { containers, imagesByContainer, knownImages } = request;
  const networkIds = new Set(request.networks.map(({ id }) => id));
  const isOnNetwork = ({ networks }: ContainerDetail): boolean =>
    Object.values(networks).some(({ networkId }) => networkIds.has(networkId));
  const current = new Set(
    containers
      .filter((container) => container.state.isRunning && isOnNetwork(container))
      .map(({ name, owner }) => `${name} ${owner.configHash}`),
  );
  const missing = [...imagesByContainer].filter(([name, { configHash }]) => !current.has(`${name} ${configHash}`));
  const references = new Set([...missing.map(([, { image }]) => image), ...containers.map(({ imageId }) => imageId)]);
  const found = await Promise.all(
    [...references].map(async (reference) => {
      const known = reference.startsWith('sha256:') ? knownImages.get(reference) : undefined;
      return [reference, known ?? (await engine.inspectImage(reference, signal))] as const;
    }),
  );
  return new Map(found.filter((entry): entry is readonly [string, ImageDetail] => entry[1] !== undefined));
}

function owned<Item extends { readonly labels: Labels }, Of extends Owner>(
  items: readonly Item[],
  find: (labels: Labels) => Of | undefined,
  cluster: string,
): readonly Owned<Item, Of>[] {
  return items.flatMap((item) => {
    const owner = find(item.labels);
    return owner === undefined || owner.cluster !== cluster ? [] : [{ ...item, owner }];
  });
}

interface Lists {
  readonly containers: readonly { readonly id: string; readonly state: string; readonly networkIds: readonly string[] }[];
  readonly networks: readonly { readonly id: string }[];
  readonly volumes: readonly { readonly name: string }[];
}

/** Sums up the engine's lists, so that the periodic look at everything need not inspect what did not change. */
export function fingerprintOf({ containers, networks, volumes }: Lists): string {
  const lines = [
    ...containers.map(({ id, state, networkIds }) => `${id} ${state} ${networkIds.toSorted().join(',')}`),
    ...networks.map(({ id }) => id),
    ...volumes.map(({ name }) => name),
  ];
  return lines.toSorted().join('\n');
}
