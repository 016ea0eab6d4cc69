/**
 * The container engine as the agent needs it: a port. docker-client.ts speaks to a real one, the simulation has its own.
 *
 * Promises every implementation keeps:
 * - A wish that is already fulfilled is no failure: starting what runs, stopping or killing what does not,
 *   removing what is gone or going. Callers look again rather than trust an answer.
 * - Failures are `EngineError`s with a `reason`; the message carries the engine's own words.
 * - `find*`-like reads (`inspect*`) answer `undefined` for what does not exist.
 * - A call whose signal aborts rejects with the signal's reason; the engine may have done it all the same.
 */
import type { Duplex } from 'node:stream';
import type {
  ContainerDetail,
  ContainerSpec,
  ContainerStats,
  ContainerSummary,
  EngineEvent,
  EngineInfo,
  EngineVersion,
  ExecState,
  ImageDetail,
  ImageSummary,
  Labels,
  LogFrame,
  NetworkDetail,
  NetworkSummary,
  PullProgress,
  RegistryAuth,
  VolumeSummary,
} from './docker-types.ts';
import type { TarFile } from './tar.ts';

/** Every label must be there; an empty value asks only for the key. */
export interface LabelFilter {
  readonly labels: Labels;
}

export interface ListContainersOptions extends LabelFilter {
  /** Also those that do not run. */
  readonly all: boolean;
}

export interface RemoveContainerOptions {
  /** Kills it first if it runs; without, a running one is a `Conflict`. */
  readonly force: boolean;
  /** Also removes its anonymous volumes; named ones are never touched. */
  readonly removeAnonymousVolumes: boolean;
}

export interface ContainerLogsOptions {
  /** How many of the last lines to begin with; left out: all. */
  readonly tail?: number;
  /** Stays open for what is yet to come, until the container ends or the signal aborts. */
  readonly follow?: boolean;
  /** RFC 3339 in UTC, to the nanosecond; only what is written at or after it. */
  readonly since?: string;
  /** As `since`; only what is written at or before it. */
  readonly until?: string;
  /** Puts an RFC 3339 time and a space before each line. */
  readonly timestamps?: boolean;
}

export interface CreateNetworkOptions extends LabelFilter {
  /** CIDR block; left out: the engine picks one of its own pools. */
  readonly subnet?: string;
}

export interface ConnectNetworkOptions {
  readonly containerId: string;
  readonly aliases: readonly string[];
  /** IPv4, to be kept; left out: the engine picks one at each start. */
  readonly address?: string | undefined;
}

export interface PullImageOptions {
  readonly auth?: RegistryAuth;
  /** Called at most a few times a second per layer; must not throw. */
  readonly onProgress?: (progress: PullProgress) => void;
}

export interface EventsOptions extends LabelFilter {
  /** Only these; `health_status` stands for all three. Left out: every one, also those of each health check. */
  readonly actions?: readonly string[];
  /** Replays what the engine still remembers from then on (`timeNs` of the last event seen). */
  readonly sinceNs?: bigint;
}

/** A command to run in a container that runs. */
export interface ExecSpec {
  readonly command: readonly string[];
  /** With a terminal stdout and stderr are one. */
  readonly hasTty: boolean;
  /** Without, the command finds its input at an end. */
  readonly hasStdin: boolean;
  /** `NAME=value` each. */
  readonly env: readonly string[];
  /** As in the container, where left out. */
  readonly user?: string;
  readonly workingDir?: string;
}

export interface Engine {
  /** Resolves when the engine answers on a new connection: one that shuts down still does on those that it has. @throws {EngineError} EngineUnreachable, Timeout, EngineTooOld */
  ping(signal: AbortSignal): Promise<void>;
  version(signal: AbortSignal): Promise<EngineVersion>;
  info(signal: AbortSignal): Promise<EngineInfo>;

  listContainers(options: ListContainersOptions, signal: AbortSignal): Promise<readonly ContainerSummary[]>;
  inspectContainer(idOrName: string, signal: AbortSignal): Promise<ContainerDetail | undefined>;
  /** @returns the new container's id. @throws {EngineError} NameConflict, ImageNotFound, Invalid */
  createContainer(name: string, spec: ContainerSpec, signal: AbortSignal): Promise<string>;
  /**
   * Writes files into a container that does not run; folders that are missing are made, what is there of the same name is replaced.
   * @throws {EngineError} NotFound; NoSpace; Invalid where a path leads through a file, or to a folder
   */
  writeFiles(id: string, files: readonly TarFile[], signal: AbortSignal): Promise<void>;
  /** @throws {EngineError} NotFound, PortInUse, NoSpace, Invalid (the program cannot be executed) */
  startContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Asks it to end and kills it after `graceMs` (whole seconds, rounded up); resolves when it has ended. */
  stopContainer(id: string, graceMs: number, signal: AbortSignal): Promise<void>;
  /** Stops it as `stopContainer` does and starts it again: one call, which the engine brings to its end whoever waits for it. */
  restartContainer(id: string, graceMs: number, signal: AbortSignal): Promise<void>;
  killContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Also while it runs. @throws {EngineError} NameConflict, NotFound */
  renameContainer(id: string, name: string, signal: AbortSignal): Promise<void>;
  /** @throws {EngineError} Conflict when it runs and `force` is false */
  removeContainer(id: string, options: RemoveContainerOptions, signal: AbortSignal): Promise<void>;
  /**
   * Resolves once the engine has opened the log; the frames must be iterated, or the signal aborted. They come in batches, as many as the
   * engine has sent together.
   * @throws {EngineError} NotFound
   */
  containerLogs(id: string, options: ContainerLogsOptions, signal: AbortSignal): Promise<AsyncIterable<readonly LogFrame[]>>;

  /** Reads counters at once, one sample. @returns undefined when there is no such container */
  containerStats(id: string, signal: AbortSignal): Promise<ContainerStats | undefined>;

  /** Makes a command ready. @returns its id. @throws {EngineError} NotFound; Conflict where the container does not run, or is paused */
  createExec(containerId: string, spec: ExecSpec, signal: AbortSignal): Promise<string>;
  /**
   * Runs it; resolves once its stream is open. What is written is its input, an end of that its end. What is read is its output: as it is
   * with a terminal, else in frames (log-frames.ts). What cannot be started says so there, and has no pid. Destroying the stream, or aborting,
   * closes its input and stops nothing.
   */
  startExec(execId: string, options: { readonly hasTty: boolean }, signal: AbortSignal): Promise<Duplex>;
  /** @throws {EngineError} also while it is not quite there yet */
  resizeExec(execId: string, size: { readonly columns: number; readonly rows: number }, signal: AbortSignal): Promise<void>;
  /** @returns undefined when it, or its container, is gone */
  inspectExec(execId: string, signal: AbortSignal): Promise<ExecState | undefined>;

  listNetworks(filter: LabelFilter, signal: AbortSignal): Promise<readonly NetworkSummary[]>;
  inspectNetwork(idOrName: string, signal: AbortSignal): Promise<NetworkDetail | undefined>;
  /** Creates a bridge network. @returns its id. @throws {EngineError} NameConflict, SubnetTaken */
  createNetwork(name: string, options: CreateNetworkOptions, signal: AbortSignal): Promise<string>;
  /** @throws {EngineError} Conflict while containers are attached */
  removeNetwork(idOrName: string, signal: AbortSignal): Promise<void>;
  /**
   * Puts a container onto a network, whether or not it runs; it must not be on it. Connections that were open when it was taken off live
   * on where it gets the address it had.
   * @throws {EngineError} NotFound, Conflict; EngineFault where the address is taken
   */
  connectNetwork(networkId: string, options: ConnectNetworkOptions, signal: AbortSignal): Promise<void>;
  /** Takes a container off a network, whether or not it runs. */
  disconnectNetwork(networkId: string, containerId: string, signal: AbortSignal): Promise<void>;

  listVolumes(filter: LabelFilter, signal: AbortSignal): Promise<readonly VolumeSummary[]>;
  inspectVolume(name: string, signal: AbortSignal): Promise<VolumeSummary | undefined>;
  /** Answers an existing volume of that name as it is: look at its labels before trusting it. */
  createVolume(name: string, labels: Labels, signal: AbortSignal): Promise<VolumeSummary>;
  /** @throws {EngineError} Conflict while a container uses it */
  removeVolume(name: string, signal: AbortSignal): Promise<void>;

  inspectImage(reference: string, signal: AbortSignal): Promise<ImageDetail | undefined>;
  listImages(signal: AbortSignal): Promise<readonly ImageSummary[]>;
  /**
   * Takes a name off an image, and with its last name the image; an id removes one that has a single name or none. Never by force.
   * @throws {EngineError} Conflict while a container is made of it, or where an id has several names
   */
  removeImage(reference: string, signal: AbortSignal): Promise<void>;
  /**
   * Pulls one image; a reference without tag or digest means `:latest`. Has no time limit of its own.
   * @throws {EngineError} ImageNotFound, PullDenied, TooManyRequests, NoSpace, PullFailed
   */
  pullImage(reference: string, options: PullImageOptions, signal: AbortSignal): Promise<void>;

  /**
   * Subscribes; resolves once the engine has accepted. The iteration ends when the engine closes the stream and throws
   * when it breaks or the signal aborts. The events must be iterated, or the signal aborted.
   */
  events(options: EventsOptions, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>>;

  /** Closes idle connections. Calls made afterwards open new ones. */
  close(): void;
}
