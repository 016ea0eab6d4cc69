/**
 * What the fake Docker Engine holds, and how it changes: images, containers, networks, volumes, events.
 * Refusals carry the status and words of Docker 20.10. Nothing here knows HTTP.
 */
import { randomBytes } from 'node:crypto';
import { overlaps, privateSubnet } from './subnets.ts';
import { readTar } from './tar.ts';

/** What a container made of an image does once started. */
export interface FakeImage {
  readonly id: string;
  readonly repoDigests: readonly string[];
  /** Ends at once with this code; left out: runs until stopped. */
  readonly exitCode?: number;
  /** What its first health check says; left out: `healthy`. It stays `starting` until setHealth() where it says so. */
  readonly health?: 'starting' | 'healthy' | 'unhealthy';
  /** Lines it writes to stdout when it starts. */
  readonly output?: readonly string[];
  /** Refused at start with these words and 400, as Docker does for a program that is not there. */
  readonly startError?: string;
}

interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** The body of `POST /containers/create`, as far as the fake looks at it. */
export interface CreateBody {
  readonly Image: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly Env?: readonly string[];
  readonly Tty?: boolean;
  readonly Healthcheck?: { readonly Test?: readonly string[] };
  readonly HostConfig?: {
    readonly ReadonlyRootfs?: boolean;
    readonly NetworkMode?: string;
    readonly PortBindings?: Readonly<Record<string, readonly PortBinding[]>>;
    readonly Mounts?: readonly { Type: string; Source?: string; Target: string; ReadOnly?: boolean }[];
  };
  readonly NetworkingConfig?: { readonly EndpointsConfig?: Readonly<Record<string, FakeEndpoint>> };
}

/** How a container sits on a network. */
export interface FakeEndpoint {
  readonly Aliases?: readonly string[] | null;
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null;
}

export interface FakeContainer {
  readonly id: string;
  name: string;
  /** of its one network; undefined: it was taken off it */
  endpoint: FakeEndpoint | undefined;
  readonly createdAtMs: number;
  readonly imageId: string;
  readonly body: CreateBody;
  status: 'created' | 'running' | 'exited';
  exitCode: number;
  error: string;
  startedAtMs: number | undefined;
  finishedAtMs: number | undefined;
  health: 'starting' | 'healthy' | 'unhealthy' | undefined;
  /** container port with protocol -> host ports, while it runs */
  ports: Readonly<Record<string, readonly string[]>>;
  /** path -> file written into it from outside */
  readonly files: Map<string, { readonly mode: number; readonly content: string }>;
  readonly log: { readonly stream: 'stdout' | 'stderr'; readonly text: string; readonly atMs: number }[];
}

export interface FakeNetwork {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly subnet: string;
}

export interface FakeVolume {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface FakeEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNs: bigint;
}

/** An answer of 4xx or 5xx. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class FakeDockerState {
  /** reference -> image on this engine */
  readonly images = new Map<string, FakeImage>();
  /** reference -> what a pull finds in the registry; a string is the failure inside the stream */
  readonly registry = new Map<string, FakeImage | string>();
  /** id -> container */
  readonly containers = new Map<string, FakeContainer>();
  /** id -> network */
  readonly networks = new Map<string, FakeNetwork>();
  /** name -> volume */
  readonly volumes = new Map<string, FakeVolume>();
  readonly events: FakeEvent[] = [];
  /** of every container that runs; a test that is to be dialled says 127.0.0.1 */
  containerAddress = '172.18.0.2';
  /** of each answer that gives a log out as it is written: how many lines wait to be taken */
  readonly followedLogs = new Set<() => number>();
  readonly #listeners = new Set<() => void>();
  #lastEventNs = 0n;

  /** Calls back after every change, until unsubscribed by the returned function. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(type: string, action: string, actor: FakeEvent['Actor']): void {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    this.#lastEventNs = nowNs > this.#lastEventNs ? nowNs : this.#lastEventNs + 1n;
    this.events.push({ Type: type, Action: action, Actor: actor, timeNs: this.#lastEventNs });
    this.changed();
  }

  changed(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  getContainer(reference: string): FakeContainer {
    const found = [...this.containers.values()].find(
      ({ id, name }) => id === reference || name === reference || (reference.length >= 12 && id.startsWith(reference)),
    );
    if (found === undefined) {
      throw new Refusal(404, `No such container: ${reference}`);
    }
    return found;
  }

  createContainer(name: string, body: CreateBody): FakeContainer {
    if (!/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/u.test(name)) {
      throw new Refusal(400, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const image = this.images.get(body.Image) ?? [...this.images.values()].find(({ id }) => id === body.Image);
    if (image === undefined) {
      throw new Refusal(404, `No such image: ${body.Image}`);
    }
    const holder = [...this.containers.values()].find((container) => container.name === name);
    if (holder !== undefined) {
      const how = 'You have to remove (or rename) that container to be able to reuse that name.';
      throw new Refusal(409, `Conflict. The container name "/${name}" is already in use by container "${holder.id}". ${how}`);
    }
    for (const mount of body.HostConfig?.Mounts ?? []) {
      if (mount.Type === 'volume' && mount.Source) {
        this.createVolume(mount.Source, {});
      }
    }
    const container: FakeContainer = {
      id: newId(),
      name,
      endpoint: body.NetworkingConfig?.EndpointsConfig?.[body.HostConfig?.NetworkMode ?? ''] ?? {},
      createdAtMs: Date.now(),
      imageId: image.id,
      body,
      status: 'created',
      exitCode: 0,
      error: '',
      startedAtMs: undefined,
      finishedAtMs: undefined,
      health: undefined,
      ports: {},
      files: new Map(),
      log: [],
    };
    this.containers.set(container.id, container);
    this.#emitContainer(container, 'create');
    return container;
  }

  writeFiles({ body, files }: FakeContainer, archive: Buffer): void {
    if (body.HostConfig?.ReadonlyRootfs === true) {
      throw new Refusal(400, 'container rootfs is marked read-only');
    }
    for (const { path, mode, content } of readTar(archive)) {
      if ([...files.keys()].some((file) => file.startsWith(`/${path}/`))) {
        throw new Refusal(500, `Error processing tar file(exit status 1): cannot overwrite directory "/${path}" with non-directory "/"`);
      }
      files.set(`/${path}`, { mode, content: content.toString() });
    }
  }

  /** @returns false when it runs already */
  startContainer(reference: string): boolean {
    const container = this.getContainer(reference);
    if (container.status === 'running') {
      return false;
    }
    const image = [...this.images.values()].find(({ id }) => id === container.imageId);
    try {
      this.#checkNetwork(container);
      container.ports = this.#bindPorts(container);
      if (image?.startError !== undefined) {
        throw new Refusal(400, image.startError);
      }
    } catch (error) {
      container.error = error instanceof Error ? error.message : '';
      container.exitCode = error instanceof Refusal && error.status === 400 ? 127 : 128;
      container.ports = {};
      throw error;
    }
    const hasCheck = (container.body.Healthcheck?.Test?.[0] ?? 'NONE') !== 'NONE';
    Object.assign(container, {
      status: 'running',
      exitCode: 0,
      error: '',
      startedAtMs: Date.now(),
      health: hasCheck ? 'starting' : undefined,
    });
    this.#emitContainer(container, 'start');
    for (const line of image?.output ?? []) {
      this.writeLog(container.id, 'stdout', `${line}\n`);
    }
    if (image?.exitCode !== undefined) {
      this.exitContainer(container.id, image.exitCode);
    } else if (hasCheck && image?.health !== 'starting') {
      this.setHealth(container.id, image?.health ?? 'healthy');
    }
    return true;
  }

  /** Ends a container's run, as if by itself. The fake does not restart: its containers have no restart policy. */
  exitContainer(reference: string, exitCode: number): void {
    const container = this.getContainer(reference);
    Object.assign(container, { status: 'exited', exitCode, finishedAtMs: Date.now(), ports: {} });
    this.#emitContainer(container, 'die', { exitCode: String(exitCode) });
  }

  /** @returns false when it does not run */
  stopContainer(reference: string): boolean {
    const container = this.getContainer(reference);
    if (container.status !== 'running') {
      return false;
    }
    this.#emitContainer(container, 'kill', { signal: '15' });
    this.exitContainer(container.id, 0);
    this.#emitContainer(container, 'stop');
    return true;
  }

  restartContainer(reference: string): void {
    this.stopContainer(reference);
    this.startContainer(reference);
  }

  killContainer(reference: string): void {
    const container = this.getContainer(reference);
    if (container.status !== 'running') {
      throw new Refusal(409, `Cannot kill container: ${reference}: Container ${container.id} is not running`);
    }
    this.#emitContainer(container, 'kill', { signal: '9' });
    this.exitContainer(container.id, 137);
  }

  removeContainer(reference: string, isForced: boolean): void {
    const container = this.getContainer(reference);
    if (container.status === 'running') {
      if (!isForced) {
        const how = 'Stop the container before attempting removal or force remove';
        throw new Refusal(409, `You cannot remove a running container ${container.id}. ${how}`);
      }
      this.killContainer(container.id);
    }
    this.containers.delete(container.id);
    this.#emitContainer(container, 'destroy');
  }

  renameContainer(reference: string, name: string): void {
    const container = this.getContainer(reference);
    if ([...this.containers.values()].some((other) => other.name === name)) {
      throw new Refusal(409, `Conflict. The container name "/${name}" is already in use by container "${newId()}".`);
    }
    container.name = name;
    this.#emitContainer(container, 'rename');
  }

  setHealth(reference: string, health: 'starting' | 'healthy' | 'unhealthy'): void {
    const container = this.getContainer(reference);
    container.health = health;
    this.#emitContainer(container, `health_status: ${health}`);
  }

  /** Statistics of a container, as Docker 20.10 gives them; by name, merged into what one has that does nothing. */
  readonly stats = new Map<string, object>();

  readStats(reference: string): object {
    const { name } = this.getContainer(reference);
    return {
      read: new Date().toISOString(),
      cpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: { usage: 4096, limit: 2 ** 62, stats: { total_inactive_file: 96 } },
      networks: { eth0: { rx_bytes: 0, tx_bytes: 0 } },
      blkio_stats: { io_service_bytes_recursive: [] },
      ...this.stats.get(name),
    };
  }

  /** Lines of followed logs that nobody has taken yet. */
  untakenLines(): number {
    return [...this.followedLogs].reduce((sum, untaken) => sum + untaken(), 0);
  }

  writeLog(reference: string, stream: 'stdout' | 'stderr', text: string): void {
    this.getContainer(reference).log.push({ stream, text, atMs: Date.now() });
    this.changed();
  }

  getNetwork(reference: string): FakeNetwork {
    const found = [...this.networks.values()].find(({ id, name }) => id === reference || name === reference);
    if (found === undefined) {
      throw new Refusal(404, `network ${reference} not found`);
    }
    return found;
  }

  /** Docker gives two networks one name if it is not asked to look, and so does this. */
  createNetwork(name: string, labels: FakeNetwork['labels'], subnet: string | undefined): FakeNetwork {
    const taken = [...this.networks.values()];
    if (subnet !== undefined && taken.some((network) => overlaps(network.subnet, subnet))) {
      throw new Refusal(403, 'Pool overlaps with other one on this address space');
    }
    const free = subnet ?? privateSubnet(taken.map((network) => network.subnet));
    if (free === undefined) {
      const words = 'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network';
      throw new Refusal(404, words);
    }
    const network = { id: newId(), name, labels, subnet: free };
    this.networks.set(network.id, network);
    this.emit('network', 'create', { ID: network.id, Attributes: { name, type: 'bridge' } });
    return network;
  }

  removeNetwork(reference: string): void {
    const network = this.getNetwork(reference);
    if (this.attached(network).length > 0) {
      throw new Refusal(403, `error while removing network: network ${network.name} id ${network.id} has active endpoints`);
    }
    this.networks.delete(network.id);
    this.emit('network', 'destroy', { ID: network.id, Attributes: { name: network.name, type: 'bridge' } });
  }

  connectNetwork(reference: string, container: FakeContainer, endpoint: FakeEndpoint): void {
    const network = this.getNetwork(reference);
    if (container.endpoint !== undefined) {
      throw new Refusal(403, `endpoint with name ${container.name} already exists in network ${network.name}`);
    }
    container.endpoint = endpoint;
    this.changed();
  }

  disconnectNetwork(reference: string, container: FakeContainer): void {
    this.getNetwork(reference);
    container.endpoint = undefined;
    this.changed();
  }

  /** The running containers on a network. */
  attached(network: FakeNetwork): readonly FakeContainer[] {
    const isOn = ({ body, endpoint }: FakeContainer): boolean =>
      endpoint !== undefined && [network.name, network.id].includes(body.HostConfig?.NetworkMode ?? '');
    return [...this.containers.values()].filter((container) => container.status === 'running' && isOn(container));
  }

  getVolume(name: string): FakeVolume {
    const volume = this.volumes.get(name);
    if (volume === undefined) {
      throw new Refusal(404, `get ${name}: no such volume`);
    }
    return volume;
  }

  createVolume(name: string, labels: FakeVolume['labels']): FakeVolume {
    const volume = this.volumes.get(name) ?? { name, labels };
    if (!this.volumes.has(name)) {
      this.volumes.set(name, volume);
      this.emit('volume', 'create', { ID: name, Attributes: { driver: 'local' } });
    }
    return volume;
  }

  removeVolume(name: string): void {
    this.getVolume(name);
    const users = [...this.containers.values()].filter(({ body }) => body.HostConfig?.Mounts?.some(({ Source }) => Source === name));
    if (users.length > 0) {
      throw new Refusal(409, `remove ${name}: volume is in use - [${users.map(({ id }) => id).join(', ')}]`);
    }
    this.volumes.delete(name);
    this.emit('volume', 'destroy', { ID: name, Attributes: { driver: 'local' } });
  }

  #checkNetwork({ body }: FakeContainer): void {
    const mode = body.HostConfig?.NetworkMode ?? 'default';
    if (!['default', 'bridge', 'host', 'none'].includes(mode)) {
      this.getNetwork(mode);
    }
  }

  #bindPorts(container: FakeContainer): FakeContainer['ports'] {
    const running = [...this.containers.values()].filter(({ status }) => status === 'running');
    const taken = new Set(
      running.flatMap(({ ports }) => Object.entries(ports).flatMap(([key, list]) => list.map((port) => hostKey(key, port)))),
    );
    const bound = Object.entries(container.body.HostConfig?.PortBindings ?? {}).map(([key, bindings]) => {
      const ports = bindings.map(({ HostPort }) => {
        const port = HostPort || String([...Array(1000).keys()].map((n) => 49_153 + n).find((n) => !taken.has(hostKey(key, String(n)))));
        if (taken.has(hostKey(key, port))) {
          const endpoint = `driver failed programming external connectivity on endpoint ${container.name} (${newId()})`;
          throw new Refusal(500, `${endpoint}: Bind for 0.0.0.0:${port} failed: port is already allocated`);
        }
        taken.add(hostKey(key, port));
        return port;
      });
      return [key, ports] as const;
    });
    return Object.fromEntries(bound);
  }

  #emitContainer({ id, name, body }: FakeContainer, action: string, extra: Readonly<Record<string, string>> = {}): void {
    this.emit('container', action, { ID: id, Attributes: { ...body.Labels, ...extra, image: body.Image, name } });
  }
}

/** Host ports are separate per protocol: `80/tcp`, 8080 -> `8080/tcp`. */
function hostKey(containerPort: string, hostPort: string): string {
  return `${hostPort}/${containerPort.split('/')[1] ?? 'tcp'}`;
}

export function newId(): string {
  return randomBytes(32).toString('hex');
}
