/**
 * Desired: what a Project asks of the engine, worked out from its spec: pure.
 *
 * Restarts are the engine's work: `restartPolicy` becomes the engine's own (Always: `unless-stopped`, OnFailure: `on-failure`,
 * Never: `no`). So a crashed container comes back, and all of them after a reboot, also while neither control plane nor agent
 * is there; the engine backs off from 100 ms to 1 min by itself. The agent watches, counts and tells, and acts only on what
 * the engine leaves down: a container stopped by hand, removed, or never started.
 *
 * Not so where the Project is fenced: after a reboot it may run elsewhere, and an engine knows nothing of that. So the engine restarts
 * none of its containers (`no`), the agent does.
 */
import { posix } from 'node:path';
import { durationToMs } from '../../api/duration.ts';
import type { HealthCheck } from '../../api/project/health-check.ts';
import { deriveFenceTerms } from '../../api/project/fence.ts';
import type { ProjectObject, Service, ServiceStatus, Volume } from '../../api/project.ts';
import { quantityToMillis, quantityToUnits } from '../../api/quantity.ts';
import type { ContainerMount, ContainerSpec, HealthCheckSpec, Labels, PublishedPort, RestartSpec } from '../docker/docker-types.ts';
import { isByAgent } from '../health/agent-check.ts';
import {
  containerLabels,
  containerName,
  LABEL,
  networkName,
  nextContainerName,
  ownerLabels,
  previousContainerName,
  volumeLabels,
  volumeName,
  type Owner,
} from '../docker/names.ts';
import { canonicalJson, configHash } from './desired/config-hash.ts';
import { orderServices, type Dependency } from './desired/dependencies.ts';
import type { Failure } from './failure.ts';
import { derivePull, type ImagePull } from './desired/image-pull.ts';
import { isWithin } from './desired/path-within.ts';
import { deriveInputs, type ServiceInputs } from './desired/service-inputs.ts';
import { deriveNames, deriveOptions, findPrivilegeFailure, type PrivilegePolicy } from './desired/service-options.ts';

const DEFAULT_STOP_GRACE_MS = 10_000; // Docker's own

export interface DesiredService {
  readonly name: string;
  readonly containerName: string;
  /** Complete, with its labels, but for what comes from `inputs`. */
  readonly container: ContainerSpec;
  /** Values of Secrets and files; undefined where there are none. */
  readonly inputs: ServiceInputs | undefined;
  /** Set while no container can be made as a Secret is missing; one that runs may run on. */
  readonly missing: Failure | undefined;
  readonly configHash: string;
  readonly pull: ImagePull;
  readonly dependsOn: readonly Dependency[];
  readonly restartPolicy: RestartPolicy;
  readonly stopGraceMs: number;
  /** `80/TCP` for each port it takes on the host. */
  readonly hostPorts: readonly string[];
  /** Names in the engine of the volumes it mounts. */
  readonly volumeNames: readonly string[];
  readonly ports: ServiceStatus['ports'];
  /** Whether a new version may run beside the one before it: neither a host port nor a volume that it writes to forbids it. */
  readonly canOverlap: boolean;
  /** Names for a while, so that two versions can stand beside each other. */
  readonly nextName: string;
  readonly previousName: string;
  /** Id of the image that this very version ran before, where it is to be made anew: its tag may mean another by now. */
  readonly keptImage?: string;
  /** Set when the spec alone tells that it cannot run here: then nothing is done for it or to it. */
  readonly failure: Failure | undefined;
}

export type RestartPolicy = NonNullable<Service['restartPolicy']>;

interface DesiredVolume {
  /** As in the spec. */
  readonly name: string;
  /** In the engine. */
  readonly volumeName: string;
  readonly type: 'Ephemeral' | 'Managed';
  readonly labels: Labels;
}

export interface DesiredProject {
  readonly name: string;
  readonly uid: string;
  readonly cluster: string;
  readonly assignment: number;
  readonly generation: number;
  /** Which values of Secrets this was derived from, as the server counts them; undefined: it uses none. */
  readonly secretsRevision: number | undefined;
  readonly network: { readonly name: string; readonly labels: Labels };
  /** What a service depends on comes before it. */
  readonly services: readonly DesiredService[];
  /** Without those on a path of the host, which are not ours to make. */
  readonly volumes: readonly DesiredVolume[];
}

export interface DesiredContext {
  readonly clusterId: string;
  /** Folders below which a HostPath volume may lie. */
  readonly allowedHostPaths: readonly string[];
  /** Left out: nothing privileged is allowed. */
  readonly privileges?: PrivilegePolicy;
}

export function deriveDesired({ metadata, spec, status }: ProjectObject, context: DesiredContext): DesiredProject {
  const owner: Owner = { cluster: context.clusterId, project: metadata.name, projectUid: metadata.uid, assignment: status.assignment };
  const { ordered, failures } = orderServices(spec.services);
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const isFenced = deriveFenceTerms(spec) !== undefined;
  return {
    name: metadata.name,
    uid: metadata.uid,
    cluster: context.clusterId,
    assignment: status.assignment,
    generation: metadata.generation,
    secretsRevision: status.secrets && (status.secretsRevision ?? 0),
    network: { name: networkName(metadata.name), labels: ownerLabels(owner) },
    services: ordered.map((service) => {
      const { failure: unknown, ...derived } = deriveInputs(service, status.secrets);
      const restartedAt = status.restarts?.find((restart) => restart.service === service.name)?.at;
      const desired = deriveService(service, { owner, volumes, isFenced, inputs: derived.inputs, restartedAt });
      const failure =
        failures.get(service.name) ??
        findFailure(service, { volumes, allowedHostPaths: context.allowedHostPaths }) ??
        findPrivilegeFailure(service, context.privileges) ??
        unknown;
      return { ...desired, ...derived, pull: derivePull(service, spec, status.secrets), failure };
    }),
    volumes: [...volumes.values()].flatMap((volume) => deriveVolume(volume, owner)),
  };
}

type Volumes = ReadonlyMap<string, Volume>;

interface ServiceContext {
  readonly owner: Owner;
  readonly volumes: Volumes;
  readonly isFenced: boolean;
  readonly inputs: ServiceInputs | undefined;
  readonly restartedAt: string | undefined;
}

function deriveService(
  service: Service,
  { owner, volumes, isFenced, inputs, restartedAt }: ServiceContext,
): Omit<DesiredService, 'failure' | 'missing' | 'inputs' | 'pull'> {
  const stopGraceMs = service.stopGracePeriod === undefined ? DEFAULT_STOP_GRACE_MS : durationToMs(service.stopGracePeriod);
  const restartPolicy = service.restartPolicy ?? 'Always';
  const mounts = deriveMounts(service, volumes, owner.project);
  const ports = derivePorts(service);
  const { cpu, memory } = service.resources?.limits ?? {};
  const names = deriveNames(service);
  const asked: ContainerSpec = {
    image: service.image,
    labels: {},
    ...(service.entrypoint !== undefined && { entrypoint: service.entrypoint }),
    ...(service.command !== undefined && { command: service.command }),
    ...(service.env !== undefined && { env: plainVariables(service.env) }),
    ...(ports.length > 0 && { ports }),
    ...(mounts.length > 0 && { mounts }),
    ...(service.healthCheck !== undefined && { healthCheck: toHealthCheck(service.healthCheck) }),
    ...(memory !== undefined && { memoryLimitBytes: quantityToUnits(memory) }),
    ...(cpu !== undefined && { cpuLimitMillis: quantityToMillis(cpu) }),
    ...deriveOptions(service),
    restart: RESTART[isFenced ? 'Never' : restartPolicy],
    stopGraceMs,
    network: { name: networkName(owner.project), aliases: [service.name, ...(names?.aliases ?? [])] },
  };
  const hash = configHash(asked, inputs, { names, restartedAt });
  return {
    name: service.name,
    containerName: containerName(owner.project, service.name),
    container: {
      ...asked,
      labels: { ...names?.labels, ...toCheckLabels(service), ...containerLabels({ ...owner, service: service.name, configHash: hash }) },
    },
    configHash: hash,
    dependsOn: (service.dependsOn ?? []).map((dependency) => ({ condition: 'Started', ...dependency })),
    restartPolicy,
    stopGraceMs,
    hostPorts: ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`),
    volumeNames: mounts.filter(({ type }) => type === 'volume').map(({ source }) => source),
    ports: service.ports,
    // A task (OnFailure, Never) must not run twice at once.
    canOverlap: restartPolicy === 'Always' && ports.length === 0 && mounts.every(({ isReadOnly }) => isReadOnly),
    nextName: nextContainerName(owner.project, service.name),
    previousName: previousContainerName(owner.project, service.name),
  };
}

/** Those whose value stands in the spec. */
function plainVariables(env: NonNullable<Service['env']>): Readonly<Record<string, string>> {
  return Object.fromEntries(env.filter(({ valueFrom }) => valueFrom === undefined).map(({ name, value }) => [name, value ?? '']));
}

const RESTART = {
  Always: { name: 'unless-stopped' },
  OnFailure: { name: 'on-failure' },
  Never: { name: 'no' },
} as const satisfies Record<RestartPolicy, RestartSpec>;

/** Only what is published on the host: on the Project's own network every port is open anyway. */
function derivePorts(service: Service): readonly PublishedPort[] {
  return (service.ports ?? []).flatMap(({ containerPort, hostPort, protocol = 'TCP' }) =>
    hostPort === undefined ? [] : [{ containerPort, hostPort, protocol }],
  );
}

function deriveMounts(service: Service, volumes: Volumes, project: string): readonly ContainerMount[] {
  return (service.volumeMounts ?? []).map(({ name, mountPath, readOnly = false }) => {
    const volume = volumes.get(name);
    return volume?.type === 'HostPath'
      ? { type: 'bind', source: posix.normalize(volume.path ?? '/'), target: mountPath, isReadOnly: readOnly }
      : { type: 'volume', source: volumeName(project, name), target: mountPath, isReadOnly: readOnly };
  });
}

function deriveVolume({ name, type = 'Ephemeral' }: Volume, owner: Owner): readonly DesiredVolume[] {
  if (type === 'HostPath') {
    return [];
  }
  const labels = volumeLabels({ ...owner, volume: name, volumeType: type });
  return [{ name, volumeName: volumeName(owner.project, name), type, labels }];
}

function toHealthCheck(check: HealthCheck): HealthCheckSpec {
  if (isByAgent(check)) {
    return { test: ['NONE'], byAgent: check }; // an image's own would be a second opinion
  }
  const { test = ['NONE'], interval, timeout, retries, startPeriod } = check;
  return {
    test,
    ...(interval !== undefined && { intervalMs: durationToMs(interval) }),
    ...(timeout !== undefined && { timeoutMs: durationToMs(timeout) }),
    ...(retries !== undefined && { retries }),
    ...(startPeriod !== undefined && { startPeriodMs: durationToMs(startPeriod) }),
  };
}

function toCheckLabels({ healthCheck }: Service): Labels {
  return healthCheck !== undefined && isByAgent(healthCheck) ? { [LABEL.healthCheck]: canonicalJson(healthCheck) } : {};
}

/** What makes a service impossible on this node, whatever the engine holds. */
function findFailure(
  service: Service,
  { volumes, allowedHostPaths }: { volumes: Volumes; allowedHostPaths: readonly string[] },
): Failure | undefined {
  for (const mount of service.volumeMounts ?? []) {
    const volume = volumes.get(mount.name);
    if (volume === undefined) {
      const message = `Cannot start service "${service.name}" as it mounts volume "${mount.name}", which the Project does not have: add it to spec.volumes`;
      return { reason: 'VolumeNotFound', message };
    }
    if (volume.type === 'HostPath' && !allowedHostPaths.some((folder) => isWithin(folder, volume.path ?? '/'))) {
      const allowed = allowedHostPaths.length === 0 ? 'none' : allowedHostPaths.join(', ');
      const message = `Cannot start service "${service.name}" as its volume "${volume.name}" lies outside the folders that this node's operator allows (${allowed}): current path is ${JSON.stringify(volume.path)}; add its folder to ALLOWED_HOST_PATHS of cara-agent there, or use another`;
      return { reason: 'HostPathNotAllowed', message };
    }
  }
  return undefined;
}
