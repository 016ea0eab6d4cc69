/**
 * The shapes in which the agent speaks of the container engine: what it asks for, what it sees.
 * They follow the Docker Engine API v1.41 in our words and units; docker-wire.ts translates.
 */

/** Label key -> value, as on containers, networks and volumes. */
export type Labels = Readonly<Record<string, string>>;

export type ContainerStatus = (typeof CONTAINER_STATUSES)[number];

/** The engine's own words for a container's life; `removing` and `dead` mean that a removal is under way or got stuck. */
export const CONTAINER_STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;

export type PortProtocol = 'TCP' | 'UDP' | 'SCTP';

/** A port opened on the host. */
export interface PublishedPort {
  readonly containerPort: number;
  /** 0 asks the engine for a free one. */
  readonly hostPort: number;
  /** Address on the host; left out: all of them. The engine reports `0.0.0.0` and `::` as two ports. */
  readonly hostIp?: string;
  readonly protocol: PortProtocol;
}

/** What is mounted into a container. `source` is the volume's name, or an absolute path on the host. */
export interface ContainerMount {
  readonly type: 'volume' | 'bind' | 'tmpfs';
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

export interface HealthCheckSpec {
  /** `['CMD', 'prog', 'arg']`, `['CMD-SHELL', 'line']`, or `['NONE']` to switch off the image's own. */
  readonly test: readonly string[];
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly retries?: number;
  readonly startPeriodMs?: number;
  /** For the config hash alone: the check that the agent runs, which stands on the container as a label. */
  readonly byAgent?: object;
}

export interface RestartSpec {
  readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure';
  /** With `on-failure` only; left out: no end to it. */
  readonly maxRetries?: number;
}

/** A container to create, complete: nothing is changed in a container afterwards, it is replaced. */
export interface ContainerSpec {
  readonly image: string;
  readonly labels: Labels;
  /** Replaces the image's entrypoint. */
  readonly entrypoint?: readonly string[];
  /** Replaces the image's command (arguments after the entrypoint). */
  readonly command?: readonly string[];
  /** Variable name -> value. */
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  /** `user`, `user:group`, or numbers. */
  readonly user?: string;
  readonly hostname?: string;
  /** `name:address` each, lines of /etc/hosts. */
  readonly extraHosts?: readonly string[];
  /** Without `CAP_`. */
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly isPrivileged?: boolean;
  readonly isRootReadOnly?: boolean;
  /** Folder in the container -> memory that is mounted there; mode in octal. */
  readonly tmpfs?: Readonly<Record<string, { readonly sizeBytes?: number; readonly mode?: string }>>;
  readonly shmSizeBytes?: number;
  /** Name such as `nofile` -> limits, -1 for none. */
  readonly ulimits?: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Left out: as the engine is set up. */
  readonly hasInit?: boolean;
  readonly hasTty?: boolean;
  readonly stopSignal?: string;
  /** When its log is rotated, and how many files are kept; what is left out has a default. */
  readonly log?: { readonly maxSizeBytes?: number; readonly maxFiles?: number };
  readonly ports?: readonly PublishedPort[];
  readonly mounts?: readonly ContainerMount[];
  /** The one network the container joins, and the names by which others on it find it. `address`: an IPv4 address of its own. */
  readonly network?: { readonly name: string; readonly aliases: readonly string[]; readonly address?: string };
  readonly healthCheck?: HealthCheckSpec;
  /** The engine's own restarting; left out: `no`. */
  readonly restart?: RestartSpec;
  /** Grace that the engine gives when it stops the container by itself (its own shutdown). */
  readonly stopGraceMs?: number;
  /** Hard limit: the container is killed above it. */
  readonly memoryLimitBytes?: number;
  /** Soft floor kept under memory pressure. */
  readonly memoryReservationBytes?: number;
  /** Hard limit in thousandths of a CPU. */
  readonly cpuLimitMillis?: number;
  /** Weight under contention in thousandths of a CPU. */
  readonly cpuRequestMillis?: number;
}

/** A line of the container list. */
export interface ContainerSummary {
  readonly id: string;
  /** Without the leading slash the engine puts there. */
  readonly names: readonly string[];
  readonly image: string;
  readonly imageId: string;
  readonly state: ContainerStatus;
  readonly labels: Labels;
  readonly createdAtMs: number;
  /** Of the networks it sits on; "" for one that it has yet to join. */
  readonly networkIds: readonly string[];
}

export interface ContainerHealth {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last checks (the engine keeps five), oldest first. */
  readonly log: readonly HealthProbe[];
  /** The agent runs the check; left out: the engine. */
  readonly isByAgent?: boolean;
  /** After which the engine gives up a check. */
  readonly timeoutMs?: number;
  /** Why the checks say nothing of the container. */
  readonly problem?: string;
}

export interface HealthProbe {
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  readonly output: string;
}

export interface ContainerState {
  readonly status: ContainerStatus;
  readonly isRunning: boolean;
  /** Of the last run; 0 before the first. */
  readonly exitCode: number;
  readonly isOomKilled: boolean;
  /** The engine's words when it could not start the container, else "". */
  readonly error: string;
  /** RFC 3339; undefined before the first start. */
  readonly startedAt: string | undefined;
  /** RFC 3339; undefined before the first end. */
  readonly finishedAt: string | undefined;
  /** Undefined when the container has no health check. */
  readonly health: ContainerHealth | undefined;
}

export interface ContainerDetail {
  readonly id: string;
  /** Without the leading slash the engine puts there. */
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** The reference the container was created from. */
  readonly image: string;
  readonly imageId: string;
  readonly labels: Labels;
  readonly state: ContainerState;
  /** Restarts made by the engine itself. */
  readonly restartCount: number;
  /** Published ports as bound; empty while the container does not run. */
  readonly ports: readonly PublishedPort[];
  readonly mounts: readonly ContainerMount[];
  /** Network name -> how the container sits on it. */
  readonly networks: Readonly<Record<string, ContainerNetwork>>;
  readonly hasTty: boolean;
}

export interface ContainerNetwork {
  readonly networkId: string;
  /** "" while the container does not run. */
  readonly ipAddress: string;
  /** The IPv4 address that it was given to keep; undefined where the engine picks one at each start. */
  readonly fixedAddress?: string | undefined;
  readonly aliases: readonly string[];
}

/** How a command that was run in a container stands. */
export interface ExecState {
  readonly isRunning: boolean;
  /** Undefined until it has ended. */
  readonly exitCode: number | undefined;
  /** As the engine's machine counts; undefined before it was started, and where it could not be. */
  readonly pid: number | undefined;
}

/** What a container has used since its start; left out where the engine does not know. */
export interface ContainerStats {
  readonly cpuUsedMs?: number;
  readonly memoryUsedBytes?: number;
  /** The most that it may; for one without a limit of its own the machine's, or beyond that. */
  readonly memoryLimitBytes?: number;
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
  readonly diskReadBytes?: number;
  readonly diskWrittenBytes?: number;
}

export interface NetworkSummary {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly labels: Labels;
  /** CIDR blocks, such as `172.18.0.0/16`. */
  readonly subnets: readonly string[];
}

export interface NetworkDetail extends NetworkSummary {
  /** Container ids attached and running. */
  readonly containerIds: readonly string[];
}

export interface VolumeSummary {
  readonly name: string;
  readonly driver: string;
  /** Where its data lies on the engine's host. */
  readonly mountpoint: string;
  readonly labels: Labels;
}

export interface ImageDetail {
  /** `sha256:…` of the image's configuration; what `imageId` of a container is compared with. */
  readonly id: string;
  /** `sha256:…` of the manifest in the registry; undefined for an image that never came from or went to one. */
  readonly digest: string | undefined;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

/** A line of the image list. */
export interface ImageSummary {
  readonly id: string;
  /** Empty for one that lost its name to another, or was pulled by digest. */
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** With the layers that it shares with others. */
  readonly sizeBytes: number;
}

export interface EngineVersion {
  readonly version: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
  readonly os: string;
  readonly arch: string;
  readonly kernelVersion: string;
}

export interface EngineInfo {
  /** Distinguishes engines; made on the engine's first start. */
  readonly id: string;
  readonly name: string;
  readonly serverVersion: string;
  readonly operatingSystem: string;
  readonly osType: string;
  readonly architecture: string;
  readonly kernelVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** The folder in which the engine keeps images and volumes. */
  readonly dataDir: string;
  readonly containers: number;
  readonly containersRunning: number;
}

/** Something that happened in the engine. It only ever means "look again". */
export interface EngineEvent {
  /** The engine's wall clock in nanoseconds since 1970 (more than a double holds). */
  readonly timeNs: bigint;
  /** `container`, `network`, `volume`, `image`, ... */
  readonly type: string;
  /** `create`, `start`, `die`, `health_status: healthy`, ... */
  readonly action: string;
  /** Of the container or network; the name of a volume or image. */
  readonly id: string;
  /** The object's labels, and `name`, `image`, `exitCode`, ... */
  readonly attributes: Labels;
}

/** What a container wrote to one of its streams, as the engine hands it out: records that came together, one behind the other. */
export interface LogFrame {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
  /** where each record ends in `bytes`: mostly one line with its end, long lines in pieces of 16 KiB; of a terminal nobody knows */
  readonly ends?: readonly number[];
}

export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  /** The registry's host, as in the image reference. */
  readonly serverAddress: string;
  /** A token that stands for the password. */
  readonly identityToken?: string;
}

/** How far a pull is; bytes are those of the layers that the engine has announced so far. */
export interface PullProgress {
  /** The engine's latest word, such as "Downloading" or "Pull complete". */
  readonly status: string;
  readonly layersDone: number;
  readonly layersTotal: number;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
}
