/**
 * Model engine: the Engine port in memory, with the engine's rules as far as the reconciler lives by them, and no I/O.
 * For laws and crashes; whether the real client understands a real engine is tested elsewhere.
 *
 * Owns     containers, networks, volumes, images; an open event stream per listener.
 * Never    reads a clock: instants are counted, one per change.
 */
import type {
  ContainerDetail,
  ContainerHealth,
  ContainerSpec,
  ContainerState,
  EngineEvent,
  ImageDetail,
  Labels,
  LogFrame,
  NetworkDetail,
  VolumeSummary,
} from '../../../src/agent/docker/docker-types.ts';
import { EngineError, type EngineReason } from '../../../src/agent/docker/engine-error.ts';
import type { Engine } from '../../../src/agent/docker/engine.ts';
import { parseCidr } from '../../../src/agent/reconcile/subnet-pool.ts';

interface ModelContainer {
  readonly id: string;
  name: string;
  readonly spec: ContainerSpec;
  state: ContainerState;
  restartCount: number;
  /** path -> content of the files written into it */
  readonly files: Map<string, string>;
  /** of the network it joined at its last start; "" before; undefined once someone took it off that */
  networkId: string | undefined;
  /** of its network; as its spec says, until it was connected anew */
  endpoint: { readonly aliases: readonly string[]; readonly address?: string | undefined };
}

/** Calls that change something. */
export const CHANGES = [
  'createContainer',
  'writeFiles',
  'startContainer',
  'stopContainer',
  'restartContainer',
  'removeContainer',
  'renameContainer',
  'connectNetwork',
  'disconnectNetwork',
  'createNetwork',
  'removeNetwork',
  'createVolume',
  'removeVolume',
  'pullImage',
] as const;
export type Change = (typeof CHANGES)[number];

interface ModelFault {
  readonly on: Change;
  readonly reason: EngineReason;
  /** does it all the same, and then fails */
  readonly isDoneAnyway?: boolean;
}

/** Between the end of the old run and the new one, in which the engine can be looked at. */
const RESTART_TURNS = 200;

const HEALTHY: ContainerHealth = { status: 'healthy', failingStreak: 0, log: [] };

const FRESH: ContainerState = {
  status: 'created',
  isRunning: false,
  exitCode: 0,
  isOomKilled: false,
  error: '',
  startedAt: undefined,
  finishedAt: undefined,
  health: undefined,
};

export class ModelEngine {
  readonly containers = new Map<string, ModelContainer>();
  /** id -> network */
  readonly networks = new Map<string, NetworkDetail>();
  readonly volumes = new Map<string, VolumeSummary>();
  /** reference -> image on the engine */
  readonly images = new Map<string, ImageDetail>();
  /** references that can be pulled */
  readonly registry = new Set<string>();
  /** image reference -> code with which its containers end at once */
  readonly exitCodes = new Map<string, number>();
  /** image reference -> what its containers' health check says from their start on; default healthy */
  readonly health = new Map<string, ContainerHealth>();
  /** It shuts down: takes no new connections, and answers on those that it has. */
  isClosing = false;
  /** image reference -> lines that its containers write */
  readonly output = new Map<string, readonly string[]>();
  /** Changes in order, such as `createContainer cara_shop_web`. */
  readonly changes: string[] = [];
  /** Called after each change was made, before its call returns. */
  onChange: ((change: Change, subject: string) => void | Promise<void>) | undefined;
  /** Held back while it is set: changes of these kinds wait for it. */
  readonly held = new Map<Change, Promise<void>>();
  /** Called when a run has ended, or a container has gone, otherwise than by a call of the engine. */
  onByHand: (() => void) | undefined;
  /** Called when something has happened to a container, by whomever. */
  onEvent: (() => void) | undefined;
  #faults: ModelFault[] = [];
  #instant = 0;
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  addImage(reference: string): void {
    this.images.set(reference, { id: `sha256:${reference}`, digest: undefined, repoTags: [reference], repoDigests: [] });
  }

  fail(fault: ModelFault): void {
    this.#faults.push(fault);
  }

  byName(name: string): ModelContainer | undefined {
    return [...this.containers.values()].find((container) => container.name === name);
  }

  /** Ends a container's run as if by itself or by someone's hand; the engine's own restarting is left out unless `restarts` says so. */
  exit(name: string, exitCode: number, { restarts = 0 }: { readonly restarts?: number } = {}): void {
    const container = this.#get(name);
    this.#end(container, exitCode);
    for (let n = 0; n < restarts; n += 1) {
      container.restartCount += 1;
      this.#run(container);
    }
    this.onByHand?.();
  }

  /** The engine ends and comes back: what ran is stopped, and started again where its restart policy says so. */
  async bounce(whileClosing: () => Promise<void>): Promise<void> {
    const running = [...this.containers.values()].filter(({ state }) => state.isRunning);
    this.isClosing = true;
    running.forEach((container) => this.#end(container, 143));
    await whileClosing();
    this.isClosing = false;
    for (const container of running) {
      container.restartCount = 0;
      if ((container.spec.restart?.name ?? 'no') !== 'no') {
        this.#run(container);
      }
    }
  }

  setState(name: string, state: Partial<ContainerState>): void {
    const container = this.#get(name);
    container.state = { ...container.state, ...state };
    this.#emit(container, 'health_status');
  }

  /** Takes a container off its network by someone's hand; the engine's event of it carries no labels, so that none comes. */
  disconnect(name: string): void {
    this.#get(name).networkId = undefined;
  }

  /** Takes a container away by someone's hand. */
  destroy(name: string): void {
    const container = this.#get(name);
    this.containers.delete(container.id);
    this.#emit(container, 'destroy');
    this.onByHand?.();
  }

  /** Puts something there that is not ours, or not made by the reconciler. */
  plantContainer(name: string, spec: ContainerSpec): ModelContainer {
    const container: ModelContainer = {
      id: this.#newId('c'),
      name,
      spec,
      state: FRESH,
      restartCount: 0,
      files: new Map(),
      networkId: '',
      endpoint: spec.network ?? { aliases: [] },
    };
    this.containers.set(container.id, container);
    return container;
  }

  plantNetwork(name: string, subnet: string, labels: Labels): void {
    const id = this.#newId('n');
    this.networks.set(id, { id, name, driver: 'bridge', labels, subnets: [subnet], containerIds: [] });
  }

  plantVolume(name: string, labels: Labels): void {
    this.volumes.set(name, { name, driver: 'local', mountpoint: `/volumes/${name}`, labels });
  }

  /** The port. Calls take a turn of the event loop each, as I/O does. */
  get engine(): Engine {
    const asked = { ...this.#reads(), ...this.#containerChanges(), ...this.#otherChanges() };
    return {
      ...asked,
      ...this.#unused(),
      events: async (_options, signal) => await Promise.resolve(this.#events(signal)),
      close: () => undefined,
    };
  }

  #reads(): Pick<
    Engine,
    | 'containerLogs'
    | 'listContainers'
    | 'inspectContainer'
    | 'listNetworks'
    | 'inspectNetwork'
    | 'listVolumes'
    | 'inspectVolume'
    | 'inspectImage'
    | 'listImages'
  > {
    return {
      listContainers: async ({ labels }, signal) => {
        await turn(signal);
        return [...this.containers.values()]
          .filter(({ spec }) => hasLabels(spec.labels, labels))
          .map(({ id, name, spec, state, networkId }) => ({
            id,
            names: [name],
            image: spec.image,
            imageId: `sha256:${spec.image}`,
            state: state.status,
            labels: spec.labels,
            createdAtMs: Number(id.slice(1)), // ids are counted
            networkIds: spec.network === undefined || networkId === undefined ? [] : [networkId],
          }));
      },
      inspectContainer: async (idOrName, signal) => {
        await turn(signal);
        const container = this.#find(idOrName);
        return container && this.#detail(container);
      },
      listNetworks: async ({ labels }, signal) => {
        await turn(signal);
        return [...this.networks.values()].filter((network) => hasLabels(network.labels, labels));
      },
      inspectNetwork: async (idOrName, signal) => {
        await turn(signal);
        return [...this.networks.values()].find(({ id, name }) => id === idOrName || name === idOrName);
      },
      listVolumes: async ({ labels }, signal) => {
        await turn(signal);
        return [...this.volumes.values()].filter((volume) => hasLabels(volume.labels, labels));
      },
      inspectVolume: async (name, signal) => {
        await turn(signal);
        return this.volumes.get(name);
      },
      inspectImage: async (reference, signal) => {
        await turn(signal);
        return this.images.get(reference) ?? [...this.images.values()].find(({ id }) => id === reference);
      },
      containerLogs: async (id, { tail = Infinity }, signal) => {
        await turn(signal);
        const lines = this.output.get(this.#get(id).spec.image) ?? [];
        return toFrames(lines.slice(-tail));
      },
      listImages: async (signal) => {
        await turn(signal);
        return [...this.images.values()].map(({ id, repoTags, repoDigests }) => ({ id, repoTags, repoDigests, sizeBytes: 1024 }));
      },
    };
  }

  #containerChanges(): Pick<
    Engine,
    | 'createContainer'
    | 'writeFiles'
    | 'startContainer'
    | 'stopContainer'
    | 'restartContainer'
    | 'killContainer'
    | 'removeContainer'
    | 'renameContainer'
  > {
    return {
      renameContainer: async (id, name, signal) =>
        await this.#change('renameContainer', name, signal, () => {
          if (this.byName(name) !== undefined) {
            throw refusal('NameConflict', name);
          }
          this.#get(id).name = name;
        }),
      createContainer: async (name, spec, signal) =>
        await this.#change('createContainer', name, signal, () => {
          if (!this.images.has(spec.image)) {
            throw refusal('ImageNotFound', spec.image);
          }
          if (this.byName(name) !== undefined) {
            throw refusal('NameConflict', name);
          }
          const container = this.plantContainer(name, spec);
          this.#emit(container, 'create');
          return container.id;
        }),
      writeFiles: async (id, files, signal) =>
        await this.#change('writeFiles', this.#get(id).name, signal, () => {
          files.forEach(({ path, mode, content }) =>
            this.#get(id).files.set(path, `${mode.toString(8)} ${Buffer.from(content).toString()}`),
          );
        }),
      startContainer: async (id, signal) =>
        await this.#change('startContainer', this.#get(id).name, signal, () => {
          this.#start(this.#get(id));
        }),
      stopContainer: async (id, _graceMs, signal) =>
        await this.#change('stopContainer', this.#find(id)?.name ?? id, signal, () => {
          const container = this.#find(id);
          if (container?.state.isRunning === true) {
            this.#end(container, 143);
          }
        }),
      restartContainer: async (id, _graceMs, signal) => {
        await this.#change('restartContainer', this.#get(id).name, signal, () => {
          const container = this.#get(id);
          if (container.state.isRunning) {
            this.#end(container, 143);
          }
        });
        for (let n = 0; n < RESTART_TURNS; n += 1) {
          await Promise.resolve();
        }
        this.#start(this.#get(id)); // whether its caller is still there or not
        signal.throwIfAborted();
      },
      killContainer: async (_id, signal) => await turn(signal),
      removeContainer: async (id, { force }, signal) =>
        await this.#change('removeContainer', this.#find(id)?.name ?? id, signal, () => {
          const container = this.#find(id);
          if (container?.state.isRunning === true && !force) {
            throw refusal('Conflict', container.name);
          }
          this.containers.delete(id);
          if (container !== undefined) {
            this.#emit(container, 'destroy');
          }
        }),
    };
  }

  #otherChanges(): Pick<
    Engine,
    | 'createNetwork'
    | 'removeNetwork'
    | 'connectNetwork'
    | 'disconnectNetwork'
    | 'createVolume'
    | 'removeVolume'
    | 'pullImage'
    | 'removeImage'
  > {
    return {
      connectNetwork: async (networkId, { containerId, ...endpoint }, signal) =>
        await this.#change('connectNetwork', this.#get(containerId).name, signal, () => {
          const container = this.#get(containerId);
          const isTaken = [...this.containers.values()].some(
            ({ id, endpoint: { address } }) => id !== containerId && address !== undefined && address === endpoint.address,
          );
          if (container.networkId !== undefined || isTaken || !this.networks.has(networkId)) {
            throw refusal('Conflict', container.name);
          }
          Object.assign(container, { networkId, endpoint });
        }),
      disconnectNetwork: async (_networkId, containerId, signal) =>
        await this.#change('disconnectNetwork', this.#find(containerId)?.name ?? containerId, signal, () => {
          Object.assign(this.#find(containerId) ?? {}, { networkId: undefined });
        }),
      createNetwork: async (name, { labels, subnet = '172.17.0.0/16' }, signal) =>
        await this.#change('createNetwork', name, signal, () => {
          const taken = [...this.networks.values()];
          if (taken.some((network) => network.name === name)) {
            throw refusal('NameConflict', name);
          }
          if (taken.some((network) => network.subnets.some((other) => overlap(other, subnet)))) {
            throw refusal('SubnetTaken', subnet);
          }
          this.plantNetwork(name, subnet, labels);
          return name;
        }),
      removeNetwork: async (id, signal) =>
        await this.#change('removeNetwork', this.networks.get(id)?.name ?? id, signal, () => {
          if ([...this.containers.values()].some(({ state, networkId }) => state.isRunning && networkId === id)) {
            throw refusal('Conflict', id);
          }
          this.networks.delete(id);
        }),
      createVolume: async (name, labels, signal) =>
        await this.#change('createVolume', name, signal, () => {
          const volume = this.volumes.get(name) ?? { name, driver: 'local', mountpoint: `/volumes/${name}`, labels };
          this.volumes.set(name, volume);
          return volume;
        }),
      removeVolume: async (name, signal) =>
        await this.#change('removeVolume', name, signal, () => {
          if ([...this.containers.values()].some(({ spec }) => spec.mounts?.some(({ source }) => source === name))) {
            throw refusal('Conflict', name);
          }
          this.volumes.delete(name);
        }),
      removeImage: async (reference, signal) => {
        await turn(signal);
        const used = [...this.containers.values()].some(({ spec }) => `sha256:${spec.image}` === this.images.get(reference)?.id);
        if (used) {
          throw refusal('Conflict', reference);
        }
        this.images.delete(reference);
      },
      pullImage: async (reference, { onProgress }, signal) =>
        await this.#change('pullImage', reference, signal, () => {
          onProgress?.({ status: 'Downloading', layersDone: 1, layersTotal: 3, downloadedBytes: 2 ** 20, totalBytes: 2 ** 22 });
          if (!this.registry.has(reference)) {
            throw refusal('ImageNotFound', reference);
          }
          this.addImage(reference);
        }),
    };
  }

  #unused(): Pick<Engine, 'ping' | 'version' | 'info' | 'containerStats' | 'createExec' | 'startExec' | 'resizeExec' | 'inspectExec'> {
    const refuse = async (): Promise<never> => await Promise.reject(refusal('Invalid', 'not part of the model'));
    const ping = async (signal: AbortSignal): Promise<void> => {
      await turn(signal);
      if (this.isClosing) {
        throw refusal('EngineUnreachable', 'the engine');
      }
    };
    const execs = { createExec: refuse, startExec: refuse, resizeExec: refuse, inspectExec: refuse };
    return { ping, version: refuse, info: refuse, containerStats: refuse, ...execs };
  }

  async #change<Result>(change: Change, subject: string, signal: AbortSignal, act: () => Result): Promise<Result> {
    await turn(signal);
    await Promise.race([this.held.get(change), aborted(signal, this.held.has(change))]);
    const index = this.#faults.findIndex(({ on }) => on === change);
    const fault = this.#faults[index];
    if (fault !== undefined) {
      this.#faults = this.#faults.toSpliced(index, 1);
      if (fault.isDoneAnyway === true) {
        act();
        this.changes.push(`${change} ${subject}`);
      }
      throw refusal(fault.reason, subject);
    }
    const result = act();
    this.changes.push(`${change} ${subject}`);
    await this.onChange?.(change, subject);
    signal.throwIfAborted();
    return result;
  }

  #start(container: ModelContainer): void {
    if (container.state.isRunning) {
      return;
    }
    const [network, ...doubles] = [...this.networks.values()].filter(({ name }) => name === container.spec.network?.name);
    if (doubles.length > 0) {
      throw refusal('Conflict', `network ${network?.name} is ambiguous`);
    }
    // As Docker 20.10: a container looks for its network by the id it had at its last start.
    const isNetworkLost = Boolean(container.networkId) && !this.networks.has(container.networkId ?? '');
    if (container.spec.network !== undefined && (network === undefined || isNetworkLost)) {
      throw refusal('NotFound', container.spec.network.name);
    }
    const ports = (container.spec.ports ?? []).map(({ hostPort }) => hostPort);
    const others = [...this.containers.values()].filter(({ id, state }) => id !== container.id && state.isRunning);
    if (others.some(({ spec }) => spec.ports?.some(({ hostPort }) => ports.includes(hostPort)))) {
      container.state = { ...container.state, error: 'port is already allocated', exitCode: 128 };
      throw refusal('PortInUse', container.name);
    }
    container.networkId = container.networkId === undefined ? undefined : (network?.id ?? '');
    container.restartCount = 0;
    this.#run(container);
    const exitCode = this.exitCodes.get(container.spec.image);
    if (exitCode !== undefined) {
      this.#end(container, exitCode);
    }
  }

  #run(container: ModelContainer): void {
    const health = container.spec.healthCheck === undefined ? undefined : (this.health.get(container.spec.image) ?? HEALTHY);
    const { finishedAt } = container.state; // of the run before, which the engine remembers
    container.state = { ...FRESH, status: 'running', isRunning: true, startedAt: this.#nextInstant(), finishedAt, health };
    this.#emit(container, 'start');
  }

  #end(container: ModelContainer, exitCode: number): void {
    container.state = {
      ...container.state,
      status: 'exited',
      isRunning: false,
      exitCode,
      health: undefined,
      finishedAt: this.#nextInstant(),
    };
    this.#emit(container, 'die');
  }

  #detail({ id, name, spec, state, restartCount, networkId, endpoint: { aliases, address } }: ModelContainer): ContainerDetail {
    const { network } = spec;
    return {
      id,
      name,
      createdAt: '2026-01-01T00:00:00Z',
      image: spec.image,
      imageId: `sha256:${spec.image}`,
      labels: spec.labels,
      state,
      restartCount,
      ports: state.isRunning ? (spec.ports ?? []) : [],
      mounts: spec.mounts ?? [],
      networks:
        network === undefined || networkId === undefined
          ? {}
          : { [network.name]: { networkId, ipAddress: state.isRunning ? (address ?? '') : '', fixedAddress: address, aliases } },
      hasTty: false,
    };
  }

  async *#events(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const queue: EngineEvent[] = [];
    let wake: () => void = () => undefined;
    const listener = (event: EngineEvent): void => {
      queue.push(event);
      wake();
    };
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        yield* queue.splice(0);
        if (queue.length === 0 && !signal.aborted) {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          await promise;
        }
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  #emit({ id, spec, state }: ModelContainer, action: string): void {
    this.onEvent?.();
    const attributes = { ...spec.labels, ...(action === 'die' && { exitCode: String(state.exitCode) }) };
    for (const listener of this.#listeners) {
      listener({ timeNs: BigInt(this.#instant), type: 'container', action, id, attributes });
    }
  }

  #find(idOrName: string): ModelContainer | undefined {
    return this.containers.get(idOrName) ?? this.byName(idOrName);
  }

  #get(idOrName: string): ModelContainer {
    const container = this.#find(idOrName);
    if (container === undefined) {
      throw refusal('NotFound', idOrName);
    }
    return container;
  }

  #newId(prefix: string): string {
    return `${prefix}${(this.#instant += 1)}`;
  }

  #nextInstant(): string {
    return new Date(Date.UTC(2026, 0, 1) + (this.#instant += 1)).toISOString();
  }
}

function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

function refusal(reason: EngineReason, subject: string): EngineError {
  return new EngineError(reason, `Cannot go on with ${subject}: the model says ${reason}`);
}

async function* toFrames(lines: readonly string[]): AsyncGenerator<readonly LogFrame[]> {
  await Promise.resolve();
  yield lines.map((line): LogFrame => ({ stream: 'stdout', bytes: Buffer.from(`${line}\n`) }));
}

function overlap(left: string, right: string): boolean {
  const [a, b] = [parseCidr(left), parseCidr(right)];
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last;
}

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}

async function aborted(signal: AbortSignal, isHeld: boolean): Promise<void> {
  if (isHeld) {
    const { promise, reject } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    await promise;
  }
}
