/** Translates between our shapes and the JSON of the Docker Engine API v1.41: answers. Requests are in container-request.ts. */
import {
  CONTAINER_STATUSES,
  type ContainerDetail,
  type ContainerHealth,
  type ContainerMount,
  type ContainerState,
  type ContainerStatus,
  type ContainerSummary,
  type EngineEvent,
  type EngineInfo,
  type EngineVersion,
  type ExecState,
  type ImageDetail,
  type ImageSummary,
  type Labels,
  type NetworkDetail,
  type PortProtocol,
  type PublishedPort,
  type VolumeSummary,
} from './docker-types.ts';

/** Any field may be missing or null: engines of other make and age leave out what is empty. */
type Wire<T> = { readonly [K in keyof T]?: T[K] | null };

type WireState = Wire<{
  Status: string;
  Running: boolean;
  OOMKilled: boolean;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health: WireHealth;
}>;
type WireHealth = Wire<{
  Status: string;
  FailingStreak: number;
  Log: readonly Wire<{ Start: string; End: string; ExitCode: number; Output: string }>[];
}>;
type WirePorts = Readonly<Record<string, readonly Wire<{ HostIp: string; HostPort: string }>[] | null>>;
type WireMount = Wire<{ Type: string; Name: string; Source: string; Destination: string; RW: boolean }>;
type WireEndpoint = Wire<{
  NetworkID: string;
  IPAddress: string;
  IPAMConfig: Wire<{ IPv4Address: string }> | null;
  Aliases: readonly string[];
}>;
type WireContainer = Wire<{
  Id: string;
  Name: string;
  Created: string;
  Image: string;
  RestartCount: number;
  State: WireState;
  Config: Wire<{ Image: string; Labels: Labels; Tty: boolean; Healthcheck: Wire<{ Timeout: number }> }>;
  Mounts: readonly WireMount[];
  NetworkSettings: Wire<{ Ports: WirePorts; Networks: Readonly<Record<string, WireEndpoint>> }>;
}>;
type WireSummary = Wire<{
  Id: string;
  Names: readonly string[];
  Image: string;
  ImageID: string;
  Created: number;
  State: string;
  Labels: Labels;
  NetworkSettings: Wire<{ Networks: Readonly<Record<string, WireEndpoint>> }>;
}>;
type WireNetwork = Wire<{
  Id: string;
  Name: string;
  Driver: string;
  Labels: Labels;
  IPAM: Wire<{ Config: readonly Wire<{ Subnet: string }>[] }>;
  Containers: Readonly<Record<string, unknown>>;
}>;
type WireVolume = Wire<{ Name: string; Driver: string; Mountpoint: string; Labels: Labels }>;
type WireImage = Wire<{ Id: string; RepoTags: readonly string[]; RepoDigests: readonly string[]; Size: number }>;
type WireVersion = Wire<{ Version: string; ApiVersion: string; MinAPIVersion: string; Os: string; Arch: string; KernelVersion: string }>;
type WireInfo = Wire<{
  ID: string;
  Name: string;
  ServerVersion: string;
  OperatingSystem: string;
  OSType: string;
  Architecture: string;
  KernelVersion: string;
  NCPU: number;
  MemTotal: number;
  DockerRootDir: string;
  Containers: number;
  ContainersRunning: number;
}>;
type WireEvent = Wire<{ Type: string; Action: string; Actor: Wire<{ ID: string; Attributes: Labels }>; time: number }>;

/** Reads a list, of which the engine writes the empty one as null. */
export function decodeList<T>(body: unknown, decode: (item: unknown) => T): readonly T[] {
  return Array.isArray(body) ? body.map((item) => decode(item)) : [];
}

export function decodeContainerSummary(body: unknown): ContainerSummary {
  const wire = toRecord<WireSummary>(body);
  return {
    id: wire.Id ?? '',
    names: (wire.Names ?? []).map(withoutSlash),
    image: wire.Image ?? '',
    imageId: wire.ImageID ?? '',
    state: toStatus(wire.State),
    labels: wire.Labels ?? {},
    createdAtMs: (wire.Created ?? 0) * 1000,
    networkIds: Object.values(wire.NetworkSettings?.Networks ?? {}).map(({ NetworkID }) => NetworkID ?? ''),
  };
}

export function decodeContainer(body: unknown): ContainerDetail {
  const wire = toRecord<WireContainer>(body);
  return {
    id: wire.Id ?? '',
    name: withoutSlash(wire.Name ?? ''),
    createdAt: wire.Created ?? '',
    image: wire.Config?.Image ?? '',
    imageId: wire.Image ?? '',
    labels: wire.Config?.Labels ?? {},
    state: toState(wire.State ?? {}, wire.Config?.Healthcheck?.Timeout ?? 0),
    restartCount: wire.RestartCount ?? 0,
    ports: toPorts(wire.NetworkSettings?.Ports ?? {}),
    mounts: (wire.Mounts ?? []).map(toMount),
    networks: Object.fromEntries(
      Object.entries(wire.NetworkSettings?.Networks ?? {}).map(([name, endpoint]) => [
        name,
        {
          networkId: endpoint.NetworkID ?? '',
          ipAddress: endpoint.IPAddress ?? '',
          ...(endpoint.IPAMConfig?.IPv4Address && { fixedAddress: endpoint.IPAMConfig.IPv4Address }),
          aliases: endpoint.Aliases ?? [],
        },
      ]),
    ),
    hasTty: wire.Config?.Tty ?? false,
  };
}

export function decodeExec(body: unknown): ExecState {
  const { Running: running, ExitCode: exitCode, Pid: pid } = toRecord<{ Running: boolean; ExitCode: number; Pid: number }>(body);
  return { isRunning: running === true, exitCode: exitCode ?? undefined, pid: pid === 0 ? undefined : (pid ?? undefined) };
}

export function decodeNetwork(body: unknown): NetworkDetail {
  const wire = toRecord<WireNetwork>(body);
  return {
    id: wire.Id ?? '',
    name: wire.Name ?? '',
    driver: wire.Driver ?? '',
    labels: wire.Labels ?? {},
    subnets: (wire.IPAM?.Config ?? []).flatMap(({ Subnet }) => (Subnet ? [Subnet] : [])),
    containerIds: Object.keys(wire.Containers ?? {}),
  };
}

export function decodeVolume(body: unknown): VolumeSummary {
  const wire = toRecord<WireVolume>(body);
  return { name: wire.Name ?? '', driver: wire.Driver ?? '', mountpoint: wire.Mountpoint ?? '', labels: wire.Labels ?? {} };
}

export function decodeImage(body: unknown): ImageDetail {
  const wire = toRecord<WireImage>(body);
  const repoDigests = wire.RepoDigests ?? [];
  return { id: wire.Id ?? '', digest: repoDigests[0]?.split('@')[1], repoTags: wire.RepoTags ?? [], repoDigests };
}

export function decodeImageSummary(body: unknown): ImageSummary {
  const wire = toRecord<WireImage>(body);
  const named = (names: readonly string[] | null = []): readonly string[] => (names ?? []).filter((name) => !name.includes('<none>'));
  return { id: wire.Id ?? '', repoTags: named(wire.RepoTags), repoDigests: named(wire.RepoDigests), sizeBytes: wire.Size ?? 0 };
}

export function decodeVersion(body: unknown): EngineVersion {
  const wire = toRecord<WireVersion>(body);
  return {
    version: wire.Version ?? '',
    apiVersion: wire.ApiVersion ?? '',
    minApiVersion: wire.MinAPIVersion ?? '',
    os: wire.Os ?? '',
    arch: wire.Arch ?? '',
    kernelVersion: wire.KernelVersion ?? '',
  };
}

export function decodeInfo(body: unknown): EngineInfo {
  const wire = toRecord<WireInfo>(body);
  return {
    id: wire.ID ?? '',
    name: wire.Name ?? '',
    serverVersion: wire.ServerVersion ?? '',
    operatingSystem: wire.OperatingSystem ?? '',
    osType: wire.OSType ?? '',
    architecture: wire.Architecture ?? '',
    kernelVersion: wire.KernelVersion ?? '',
    cpus: wire.NCPU ?? 0,
    memoryBytes: wire.MemTotal ?? 0,
    dataDir: wire.DockerRootDir ?? '',
    containers: wire.Containers ?? 0,
    containersRunning: wire.ContainersRunning ?? 0,
  };
}

/** @param line one line of the event stream. @returns undefined for what is no event */
export function decodeEvent(line: string): EngineEvent | undefined {
  const wire = toRecord<WireEvent>(JSON.parse(line));
  if (!wire.Type || !wire.Action) {
    return undefined;
  }
  // Read from the text, as JSON.parse rounds it. Inside a string the quotes would be escaped, so this is the field alone.
  const timeNano = /"timeNano":(\d+)/u.exec(line)?.[1];
  return {
    timeNs: timeNano === undefined ? BigInt(Math.trunc(wire.time ?? 0)) * 1_000_000_000n : BigInt(timeNano),
    type: wire.Type,
    action: wire.Action,
    id: wire.Actor?.ID ?? '',
    attributes: wire.Actor?.Attributes ?? {},
  };
}

function toRecord<T extends object>(body: unknown): Wire<T> {
  return (typeof body === 'object' && body !== null ? body : {}) as Wire<T>;
}

function withoutSlash(name: string): string {
  return name.replace(/^\//u, '');
}

function toStatus(text: string | null | undefined): ContainerStatus {
  // Podman knows "configured", "initialized" and the like for what Docker calls created
  return CONTAINER_STATUSES.find((status) => status === text) ?? 'created';
}

function toState(wire: WireState, checkTimeoutNs: number): ContainerState {
  return {
    status: toStatus(wire.Status),
    isRunning: wire.Running ?? false,
    exitCode: wire.ExitCode ?? 0,
    isOomKilled: wire.OOMKilled ?? false,
    error: wire.Error ?? '',
    startedAt: toInstant(wire.StartedAt),
    finishedAt: toInstant(wire.FinishedAt),
    health: toHealth(wire.Health, checkTimeoutNs),
  };
}

/** Go writes a time that was never set as the year 1. */
function toInstant(text: string | null | undefined): string | undefined {
  return !text || text.startsWith('0001-') ? undefined : text;
}

function toHealth(wire: WireHealth | null | undefined, timeoutNs: number): ContainerHealth | undefined {
  const status = (['starting', 'healthy', 'unhealthy'] as const).find((known) => known === wire?.Status);
  if (status === undefined) {
    return undefined; // no check, or "none"
  }
  const log = (wire?.Log ?? []).map((probe) => ({
    startedAt: probe.Start ?? '',
    finishedAt: probe.End ?? '',
    exitCode: probe.ExitCode ?? 0,
    output: probe.Output ?? '',
  }));
  return { status, failingStreak: wire?.FailingStreak ?? 0, log, ...(timeoutNs > 0 && { timeoutMs: timeoutNs / 1e6 }) };
}

/** `{"80/tcp": [{HostIp, HostPort}], "81/tcp": null}`; null is exposed but not published. */
function toPorts(wire: WirePorts): readonly PublishedPort[] {
  return Object.entries(wire).flatMap(([key, bindings]) => {
    const [port, protocol] = key.split('/');
    return (bindings ?? []).map((binding) => ({
      containerPort: Number(port),
      hostPort: Number(binding.HostPort ?? 0),
      hostIp: binding.HostIp ?? '',
      protocol: toProtocol(protocol),
    }));
  });
}

function toProtocol(text: string | undefined): PortProtocol {
  return (['TCP', 'UDP', 'SCTP'] as const).find((protocol) => protocol === text?.toUpperCase()) ?? 'TCP';
}

function toMount(wire: WireMount): ContainerMount {
  const type = (['volume', 'bind', 'tmpfs'] as const).find((known) => known === wire.Type) ?? 'bind';
  const source = (type === 'volume' ? wire.Name : wire.Source) ?? '';
  return { type, source, target: wire.Destination ?? '', isReadOnly: wire.RW === false };
}
