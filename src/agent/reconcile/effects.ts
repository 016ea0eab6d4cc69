/**
 * Effects: carries out steps on the engine. Each looks before it acts where the act could hurt, can be done twice, and leaves
 * judging the outcome to the next look at the engine.
 *
 * Never    touches what does not carry this cluster's labels, whatever its name.
 * Callers  step-runner.ts, through `executeStep`; project-loop.ts makes them.
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Turn } from '../../base/turn.ts';
import type { PullProgress } from '../docker/docker-types.ts';
import { hasEngineReason } from '../docker/engine-error.ts';
import type { Engine } from '../docker/engine.ts';
import { findContainerOwner, findOwner, findVolumeOwner, LABEL } from '../docker/names.ts';
import type { ImagePuller } from '../images/image-puller.ts';
import { StepError } from './failure.ts';
import { checkHostPaths } from './host-paths.ts';
import { hostPathsOf } from './desired/path-within.ts';
import { readLastLines } from './last-lines.ts';
import { resolveAuth, type PullSecret } from './desired/image-pull.ts';
import { hasValues, resolveEnv, resolveFiles } from './desired/resolve-inputs.ts';
import type { SecretCache } from './secret-cache.ts';
import { listSecrets } from './desired/service-inputs.ts';
import type { Effects, StepOf } from './steps.ts';
import { findFreeSubnet } from './subnet-pool.ts';

const SHORT_ID = 12; // digits
const SUBNET_TRIES = 16; // the engine knows of overlaps that neither its list nor the routes show

export interface EffectsOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Folders below which HostPath volumes may lie; default none. */
  readonly allowedHostPaths?: readonly string[];
  /** Called when a volume was made or removed. */
  readonly onVolumesChanged?: () => void;
  /** One for the whole agent. */
  readonly images: ImagePuller;
  /** CIDR blocks to take subnets from. */
  readonly networkPools: readonly string[];
  /** CIDR blocks that the machine routes somewhere. */
  readonly readRoutes: () => Promise<readonly string[]>;
  /** One for the whole agent: two networks made at once would choose the same subnet. */
  readonly networkTurn: Turn;
  /** One for the whole agent. */
  readonly secrets: SecretCache;
  /** Asked before each start: whether it may be now; see FenceGate. Default: it may. @throws {StepError} */
  readonly admit?: (containerId: string, signal: AbortSignal) => Promise<void>;
  /** Asked before a container is removed: keeps the end of its log. Must not fail but by the signal. */
  readonly keepLog?: (service: string, containerId: string, signal: AbortSignal) => Promise<void>;
  /** Called when a new version is given up. @param lines the last that its container wrote */
  readonly onRollBack?: (step: StepOf<'rollBack'>, lines: readonly string[]) => void;
}

/** @param onPullProgress called often; must not throw */
export function createEffects(options: EffectsOptions, onPullProgress: (image: string, progress: PullProgress) => void): Effects {
  const { engine, secrets } = options;
  return {
    readSecrets: async (step, signal) => await readSecrets(secrets, step, signal),
    pullImage: async ({ image, isForced = false, secrets: pullSecrets = [] }, signal) => {
      await fetchPullSecrets(secrets, { image, pullSecrets }, signal);
      const auth = resolveAuth(image, pullSecrets, secrets.values);
      await options.images.pull(image, { auth, isForced, onProgress: (progress) => onPullProgress(image, progress) }, signal);
    },
    createNetwork: async (step, signal) => await options.networkTurn.run(async () => await createNetwork(options, step, signal), signal),
    createVolume: async (step, signal) => {
      const madeAt = nowRfc3339(options.clock);
      await createVolume(engine, { ...step, labels: { ...step.labels, [LABEL.madeAt]: madeAt } }, signal);
      options.onVolumesChanged?.();
    },
    createContainer: async ({ inputs, ...step }, signal) => {
      const { spec } = step;
      await checkHostPaths(hostPathsOf(spec), options.allowedHostPaths ?? []);
      const env = inputs && { ...resolveEnv(inputs, secrets.values), ...spec.env };
      await createContainer(engine, { ...step, spec: { ...spec, ...(env !== undefined && { env }) } }, signal);
    },
    startContainer: async ({ containerId, inputs, hostPaths = [] }, signal) => {
      await checkHostPaths(hostPaths, options.allowedHostPaths ?? []);
      if (inputs !== undefined) {
        await engine.writeFiles(containerId, resolveFiles(inputs, secrets.values), signal);
      }
      await start(options, containerId, signal);
    },
    restartContainer: async ({ containerId, graceMs, isStepwise }, signal) => {
      if (!isStepwise) {
        await engine.restartContainer(containerId, graceMs, signal);
        return;
      }
      await engine.stopContainer(containerId, graceMs, signal);
      await start(options, containerId, signal);
    },
    stopContainer: async ({ containerId, graceMs }, signal) => await engine.stopContainer(containerId, graceMs, signal),
    removeContainer: async ({ service, containerId, isStuck }, signal) => {
      await options.keepLog?.(service, containerId, signal);
      await engine.removeContainer(containerId, { force: isStuck, removeAnonymousVolumes: true }, signal);
    },
    renameContainer: async ({ containerId, name }, signal) => await engine.renameContainer(containerId, name, signal),
    attachContainer: async (step, signal) => await attachContainer(engine, step, signal),
    rollBack: async (step, signal) => {
      const lines = step.containerId === undefined ? [] : await readLastLines(engine, step.containerId, signal);
      options.onRollBack?.(step, lines);
    },
    removeNetwork: async ({ networkId }, signal) => await engine.removeNetwork(networkId, signal),
    removeVolume: async (step, signal) => {
      await removeVolume(engine, step, signal);
      options.onVolumesChanged?.();
    },
  };
}

async function start({ engine, admit }: EffectsOptions, containerId: string, signal: AbortSignal): Promise<void> {
  await admit?.(containerId, signal);
  try {
    await engine.startContainer(containerId, signal);
  } catch (error) {
    // An engine in trouble answers 500 and starts it all the same.
    const detail = await engine.inspectContainer(containerId, signal);
    if (detail?.state.isRunning !== true) {
      throw error;
    }
  }
}

/** Reads those that are not at hand as the server last told of them. */
async function fetchPullSecrets(
  secrets: SecretCache,
  { image, pullSecrets }: { readonly image: string; readonly pullSecrets: readonly PullSecret[] },
  signal: AbortSignal,
): Promise<void> {
  for (const { secret, fingerprint } of pullSecrets) {
    if (secrets.values.get(secret)?.fingerprint !== fingerprint) {
      await fetchSecret(secrets, { name: secret, purpose: `pull image "${image}"` }, signal);
    }
  }
}

async function fetchSecret(
  secrets: SecretCache,
  { name, purpose }: { readonly name: string; readonly purpose: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await secrets.fetch(name, signal);
  } catch (error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    const reason = hasReason(error, 'NotFound', 'Forbidden') ? 'SecretNotFound' : 'SecretUnavailable';
    throw new StepError(reason, `Cannot ${purpose} as Secret "${name}" cannot be read: ${error.message}`, { cause: error });
  }
}

/** Reads what the container needs; the one before runs until then. */
async function readSecrets(secrets: SecretCache, { service, inputs }: StepOf<'readSecrets'>, signal: AbortSignal): Promise<void> {
  for (const name of listSecrets(inputs)) {
    await fetchSecret(secrets, { name, purpose: `start service "${service}"` }, signal);
  }
  if (!hasValues(inputs, secrets.values)) {
    const message = `Cannot start service "${service}" as its Secrets have just changed: waiting for the server to tell of it`;
    throw new StepError('SecretUnavailable', message);
  }
}

async function createContainer(engine: Engine, { name, spec }: StepOf<'createContainer'>, signal: AbortSignal): Promise<void> {
  try {
    await engine.createContainer(name, spec, signal);
  } catch (error) {
    if (!hasEngineReason(error, 'NameConflict')) {
      throw error;
    }
    const holder = await engine.inspectContainer(name, signal);
    const owner = findContainerOwner(holder?.labels ?? {});
    if (holder !== undefined && !isOf(owner, spec.labels)) {
      const message = `Cannot create container "${name}" as a container of that name is there that is not this Project's: remove or rename it (docker rename ${name} NEW-NAME)`;
      throw new StepError('NameTaken', message, { cause: error });
    }
    // Ours, from a try whose answer was lost, or gone again: the next look tells.
  }
}

/** Stops short where it is as asked for: each time costs the container a moment without a network. */
async function attachContainer(engine: Engine, step: StepOf<'attachContainer'>, signal: AbortSignal): Promise<void> {
  const { containerId, network, aliases, address } = step;
  const endpoint = (await engine.inspectContainer(containerId, signal))?.networks[network.name];
  if (endpoint !== undefined) {
    const own = endpoint.aliases.filter((alias) => alias !== containerId.slice(0, SHORT_ID)); // which the engine adds
    if (new Set(own).symmetricDifference(new Set(aliases)).size === 0 && endpoint.fixedAddress === address) {
      return;
    }
    await engine.disconnectNetwork(network.id, containerId, signal);
  }
  await engine.connectNetwork(network.id, { containerId, aliases, address }, signal);
}

async function createVolume(engine: Engine, { name, labels }: StepOf<'createVolume'>, signal: AbortSignal): Promise<void> {
  const volume = await engine.createVolume(name, labels, signal);
  const owner = findVolumeOwner(volume.labels);
  if (owner?.cluster !== labels[LABEL.cluster] || owner?.project !== labels[LABEL.project]) {
    const message = `Cannot use volume "${name}" as a volume of that name is there that is not this Project's: move its data and remove it, or name the Project's volume otherwise`;
    throw new StepError('NameTaken', message);
  }
}

async function removeVolume(engine: Engine, { name }: StepOf<'removeVolume'>, signal: AbortSignal): Promise<void> {
  const volume = await engine.inspectVolume(name, signal);
  // Someone may have made another of that name since it was looked at; an Ephemeral label is the licence to remove.
  if (volume !== undefined && findVolumeOwner(volume.labels)?.volumeType === 'Ephemeral') {
    await engine.removeVolume(name, signal);
  }
}

async function createNetwork(
  { engine, networkPools, readRoutes }: EffectsOptions,
  { name, labels }: StepOf<'createNetwork'>,
  signal: AbortSignal,
): Promise<void> {
  const [networks, routes] = await Promise.all([engine.listNetworks({ labels: {} }, signal), readRoutes()]);
  const taken = [...networks.flatMap(({ subnets }) => subnets), ...routes];
  for (let tries = 0; tries < SUBNET_TRIES; tries += 1) {
    const subnet = findFreeSubnet(networkPools, taken);
    if (subnet === undefined) {
      break;
    }
    try {
      await engine.createNetwork(name, { labels, subnet }, signal);
      return;
    } catch (error) {
      if (hasEngineReason(error, 'NameConflict')) {
        await assertOwnNetwork(engine, { name, labels }, signal);
        return;
      }
      if (!hasEngineReason(error, 'SubnetTaken')) {
        throw error;
      }
      taken.push(subnet);
    }
  }
  const message = `Cannot give network "${name}" a subnet as every block of the node's pools (${networkPools.join(', ')}) overlaps with another network or a route of the machine: give the agent another pool`;
  throw new StepError('NoSubnet', message);
}

async function assertOwnNetwork(
  engine: Engine,
  { name, labels }: Pick<StepOf<'createNetwork'>, 'name' | 'labels'>,
  signal: AbortSignal,
): Promise<void> {
  const holder = await engine.inspectNetwork(name, signal);
  if (holder !== undefined && !isOf(findOwner(holder.labels), labels)) {
    const message = `Cannot create network "${name}" as a network of that name is there that is not this Project's: remove it (docker network rm ${name})`;
    throw new StepError('NameTaken', message);
  }
}

function isOf(owner: ReturnType<typeof findOwner>, labels: Readonly<Record<string, string>>): boolean {
  return owner?.cluster === labels[LABEL.cluster] && owner?.projectUid === labels[LABEL.projectUid];
}
