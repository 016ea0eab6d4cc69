/** Writes a ContainerSpec as the body of `POST /containers/create` (Docker Engine API v1.41): pure. */
import type { ContainerSpec, HealthCheckSpec, PublishedPort } from './docker-types.ts';

const NS_PER_MS = 1_000_000;

/** Without a bound a chatty service fills the disk; 30 MB are some 200,000 lines. Not part of the spec, so that no config hash depends on it. */
const LOG_DEFAULTS = { 'max-size': '10m', 'max-file': '3' };

/** The request's body; `undefined` fields are left out when it is written as JSON, so that the image's or engine's defaults stand. */
export function toContainerRequest(spec: ContainerSpec): object {
  return {
    Image: spec.image,
    Labels: spec.labels,
    Entrypoint: spec.entrypoint,
    Cmd: spec.command,
    Env: spec.env && Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    WorkingDir: spec.workingDir,
    User: spec.user,
    Hostname: spec.hostname,
    Tty: spec.hasTty,
    StopSignal: spec.stopSignal,
    ExposedPorts: Object.fromEntries((spec.ports ?? []).map((port) => [portKey(port), {}])),
    Healthcheck: spec.healthCheck && toHealthcheck(spec.healthCheck),
    StopTimeout: spec.stopGraceMs === undefined ? undefined : toWholeSeconds(spec.stopGraceMs),
    HostConfig: toHostConfig(spec),
    NetworkingConfig: spec.network && { EndpointsConfig: { [spec.network.name]: toEndpoint(spec.network) } },
  };
}

/** How a container sits on a network. */
export function toEndpoint({ aliases, address }: { readonly aliases: readonly string[]; readonly address?: string | undefined }): object {
  return { Aliases: aliases, IPAMConfig: address === undefined ? undefined : { IPv4Address: address } };
}

/** Seconds as the engine counts grace: whole, and never less than asked for. */
export function toWholeSeconds(ms: number): number {
  return Math.ceil(Math.max(0, ms) / 1000);
}

function toHostConfig(spec: ContainerSpec): object {
  return {
    NetworkMode: spec.network?.name,
    PortBindings: toPortBindings(spec.ports ?? []),
    Mounts: spec.mounts?.map(({ type, source, target, isReadOnly }) => ({
      Type: type,
      Source: type === 'tmpfs' ? undefined : source, // the engine refuses one
      Target: target,
      ReadOnly: isReadOnly,
    })),
    LogConfig: { Type: 'json-file', Config: toLogConfig(spec) },
    ...toIsolation(spec),
    RestartPolicy: { Name: spec.restart?.name ?? 'no', MaximumRetryCount: spec.restart?.maxRetries ?? 0 },
    Memory: spec.memoryLimitBytes,
    MemoryReservation: spec.memoryReservationBytes,
    NanoCpus: spec.cpuLimitMillis === undefined ? undefined : spec.cpuLimitMillis * 1_000_000, // 1 CPU = 1e9
    // 1024 is one CPU's weight, 2 the kernel's least
    CpuShares: spec.cpuRequestMillis === undefined ? undefined : Math.max(2, Math.round((spec.cpuRequestMillis * 1024) / 1000)),
  };
}

function toLogConfig({ log = {} }: ContainerSpec): object {
  return {
    ...LOG_DEFAULTS,
    ...(log.maxSizeBytes !== undefined && { 'max-size': String(log.maxSizeBytes) }),
    ...(log.maxFiles !== undefined && { 'max-file': String(log.maxFiles) }),
  };
}

/** What sets the container apart from the host, or does not. */
function toIsolation(spec: ContainerSpec): object {
  return {
    ExtraHosts: spec.extraHosts,
    CapAdd: spec.capAdd,
    CapDrop: spec.capDrop,
    Privileged: spec.isPrivileged,
    ReadonlyRootfs: spec.isRootReadOnly,
    Tmpfs: spec.tmpfs && Object.fromEntries(Object.entries(spec.tmpfs).map(([folder, options]) => [folder, toTmpfsOptions(options)])),
    ShmSize: spec.shmSizeBytes,
    Ulimits: spec.ulimits && Object.entries(spec.ulimits).map(([Name, { soft, hard }]) => ({ Name, Soft: soft, Hard: hard })),
    Sysctls: spec.sysctls,
    Init: spec.hasInit,
  };
}

function toTmpfsOptions({ sizeBytes, mode }: NonNullable<ContainerSpec['tmpfs']>[string]): string {
  return [...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`]), ...(mode === undefined ? [] : [`mode=${mode}`])].join(',');
}

function toPortBindings(ports: readonly PublishedPort[]): object {
  const bindings = Map.groupBy(ports, portKey);
  return Object.fromEntries(
    [...bindings].map(([key, group]) => [
      key,
      group.map(({ hostIp, hostPort }) => ({ HostIp: hostIp ?? '', HostPort: hostPort === 0 ? '' : String(hostPort) })),
    ]),
  );
}

function portKey({ containerPort, protocol }: PublishedPort): string {
  return `${containerPort}/${protocol.toLowerCase()}`;
}

function toHealthcheck(check: HealthCheckSpec): object {
  return {
    Test: check.test,
    Interval: toNs(check.intervalMs),
    Timeout: toNs(check.timeoutMs),
    Retries: check.retries,
    StartPeriod: toNs(check.startPeriodMs),
  };
}

function toNs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * NS_PER_MS);
}
