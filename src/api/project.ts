/** The Project resource: a group of services on one node, on one private bridge network. */
import Type, { type Static } from 'typebox';
import { ConditionSchema, type Condition } from './condition.ts';
import { DURATION } from './duration.ts';
import { HealthCheck } from './project/health-check.ts';
import { API_VERSION, ApplyMeta, Closed, Labels, ManifestMeta, Meta, OneOf, Text, Timestamp, type ObjectMeta } from './meta.ts';
import { ABSOLUTE_PATH, DNS_LABEL, DNS_SUBDOMAIN, ENV_NAME, IMAGE_REFERENCE, SECRET_KEY } from './names.ts';
import { ResourceAmounts } from './node.ts';
import { ServiceExit } from './project/service-exit.ts';
import { SERVICE_OPTIONS } from './project/service-options.ts';

export const PROJECT_PHASES = ['Pending', 'Scheduled', 'Running', 'Failed', 'Terminating', 'Terminated'] as const;
export type ProjectPhase = (typeof PROJECT_PHASES)[number];

const Duration = Text(DURATION);
const Port = Type.Integer({ minimum: 1, maximum: 65_535, expects: 'a port number from 1 to 65535' });
const Words = Type.Array(Type.String({ maxLength: 32_768 }), { maxItems: 1024, expects: 'a list of words, such as [serve, --verbose]' });

const SecretKeyRef = Closed({ name: Text(DNS_SUBDOMAIN, 'A Secret'), key: Text(SECRET_KEY) }, 'One value of a Secret');

export const EnvVar = Closed({
  name: Text(ENV_NAME),
  value: Type.Optional(Type.String({ maxLength: 131_072, expects: 'text (quote numbers and booleans: "8080")' })),
  valueFrom: Type.Optional(Closed({ secretKeyRef: SecretKeyRef })),
});

/** All values of a Secret as variables, named by their keys. */
export const EnvFrom = Closed({
  secretRef: Closed({ name: Text(DNS_SUBDOMAIN, 'A Secret') }),
  prefix: Type.Optional(Text(ENV_NAME, 'Put before each key')),
});

export const FILE_MODES = ['0400', '0440', '0444'] as const;

/** A small file in the container, made anew with it: from the manifest (`content`) or from a Secret. */
export const ServiceFile = Closed({
  mountPath: Text(ABSOLUTE_PATH, 'The file itself; folders before it are made where they are missing'),
  content: Type.Optional(Type.String({ maxLength: 262_144, expects: 'text of at most 262144 characters' })),
  secretKeyRef: Type.Optional(SecretKeyRef),
  mode: Type.Optional(
    OneOf(
      FILE_MODES,
      'Of the file, whose owner is root; default 0444, as of configs in Compose and as services often run as another user. It is copied, not mounted: root in the container can write it, and what it writes ends with the container',
    ),
  ),
});
export type ServiceFile = Readonly<Static<typeof ServiceFile>>;

export const DEPENDENCY_CONDITIONS = ['Started', 'Healthy', 'Completed'] as const;
/** As in Kubernetes: Always for `latest` and for no tag, else IfNotPresent. Only ever asked when a container is to be made. */
export const IMAGE_PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;
export const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'] as const;

export const Service = Closed({
  name: Text(DNS_LABEL, 'Under this name the other services reach it'),
  image: Text(IMAGE_REFERENCE),
  imagePullPolicy: Type.Optional(
    OneOf(IMAGE_PULL_POLICIES, 'When a container is to be made; default Always for the tag latest and for none, else IfNotPresent'),
  ),
  entrypoint: Type.Optional(Words),
  command: Type.Optional(Words),
  env: Type.Optional(Type.Array(EnvVar, { maxItems: 1024 })),
  envFrom: Type.Optional(Type.Array(EnvFrom, { maxItems: 64, description: 'A later one goes before an earlier one, env before all' })),
  files: Type.Optional(Type.Array(ServiceFile, { maxItems: 64 })),
  ports: Type.Optional(
    Type.Array(
      Closed({
        containerPort: Port,
        hostPort: Type.Optional(Port),
        protocol: Type.Optional(OneOf(['TCP', 'UDP'])),
      }),
      { maxItems: 256 },
    ),
  ),
  volumeMounts: Type.Optional(
    Type.Array(Closed({ name: Text(DNS_LABEL), mountPath: Text(ABSOLUTE_PATH), readOnly: Type.Optional(Type.Boolean()) }), {
      maxItems: 256,
    }),
  ),
  healthCheck: Type.Optional(HealthCheck),
  resources: Type.Optional(Closed({ requests: Type.Optional(ResourceAmounts), limits: Type.Optional(ResourceAmounts) })),
  dependsOn: Type.Optional(
    Type.Array(Closed({ service: Text(DNS_LABEL), condition: Type.Optional(OneOf(DEPENDENCY_CONDITIONS)) }), { maxItems: 256 }),
  ),
  restartPolicy: Type.Optional(
    OneOf(
      RESTART_POLICIES,
      'Default Always. With OnFailure and Never exit code 0 is the end, Completed, as in Kubernetes and Compose: also where somebody sent SIGTERM and the program ended well; not where its engine was stopped, or its health check failed (OnFailure)',
    ),
  ),
  stopGracePeriod: Type.Optional(Duration),
  ...SERVICE_OPTIONS,
});
export type Service = Readonly<Static<typeof Service>>;

export const VOLUME_TYPES = ['Ephemeral', 'Managed', 'HostPath'] as const;

export const Volume = Closed({
  name: Text(DNS_LABEL),
  type: Type.Optional(OneOf(VOLUME_TYPES, 'Ephemeral (default) goes with the Project; Managed stays until a command names it')),
  path: Type.Optional(Text(ABSOLUTE_PATH, 'Folder on the node; for HostPath alone')),
});
export type Volume = Readonly<Static<typeof Volume>>;

export const LOST_NODE_ACTIONS = ['Keep', 'Reschedule', 'Fail'] as const;

export const ProjectSpec = Closed({
  services: Type.Array(Service, { minItems: 1, maxItems: 128 }),
  volumes: Type.Optional(Type.Array(Volume, { maxItems: 128 })),
  imagePullSecrets: Type.Optional(
    Type.Array(Closed({ name: Text(DNS_SUBDOMAIN, 'A Secret of type dockerconfigjson') }), {
      maxItems: 16,
      description: 'Credentials of registries; the first that has some for the host of an image counts',
    }),
  ),
  nodeSelector: Type.Optional(Labels),
  onNodeLost: Type.Optional(
    Closed({
      action: Type.Optional(OneOf(LOST_NODE_ACTIONS)),
      after: Type.Optional(Duration),
      fence: Type.Optional(Type.Boolean({ description: 'The agent stops the Project by itself before it may run elsewhere' })),
    }),
  ),
  expireAt: Type.Optional(Timestamp),
  ttl: Type.Optional(Duration),
});
export type ProjectSpec = Readonly<Static<typeof ProjectSpec>>;

export const ProjectManifest = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Project', { expects: 'Project' }),
  metadata: ManifestMeta,
  spec: ProjectSpec,
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type ProjectManifest = Static<typeof ProjectManifest>;

/** A Project as `caractrl apply` sends it: labels and annotations merge (null removes), spec replaces. */
export const ProjectApply = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Project', { expects: 'Project' }),
  metadata: ApplyMeta,
  spec: ProjectSpec,
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type ProjectApply = Static<typeof ProjectApply>;

/** What a service is doing, in the order in which it usually goes. `Waiting`: for a service it depends on. */
export const SERVICE_STATES = [
  'Pending',
  'Waiting',
  'Pulling',
  'Creating',
  'Starting',
  'Running',
  'Unhealthy',
  'Restarting',
  'Completed',
  'Failed',
  'Stopping',
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

export const HEALTH_STATES = ['Starting', 'Healthy', 'Unhealthy'] as const;

export const ServiceHealth = Closed({
  state: OneOf(HEALTH_STATES),
  /** how the newest check failed */
  output: Type.Optional(Type.String({ maxLength: 1024 })),
});
export type ServiceHealth = Readonly<Static<typeof ServiceHealth>>;

export const ServiceStatus = Closed({
  name: Text(DNS_LABEL),
  state: OneOf(SERVICE_STATES),
  /** runs what the spec asks for, and is healthy where it has a check, or has completed */
  ready: Type.Boolean(),
  message: Type.Optional(Type.String({ maxLength: 4096 })),
  restarts: Type.Optional(Type.Integer({ minimum: 0 })),
  containerId: Type.Optional(Type.String({ maxLength: 128 })),
  image: Type.Optional(Type.String({ maxLength: 512 })),
  imageDigest: Type.Optional(Type.String({ maxLength: 256 })),
  exitCode: Type.Optional(Type.Integer()),
  /** left out where it has no health check, or does not run */
  health: Type.Optional(ServiceHealth),
  lastExit: Type.Optional(ServiceExit),
  startedAt: Type.Optional(Timestamp),
  ports: Type.Optional(
    Type.Array(Closed({ containerPort: Port, hostPort: Type.Optional(Port), protocol: Type.Optional(OneOf(['TCP', 'UDP'])) })),
  ),
});
export type ServiceStatus = Readonly<Static<typeof ServiceStatus>>;

/** A Project that was asked to leave its node: its agent tears it down, and when that is confirmed another node is chosen. */
export const ProjectMove = Closed({
  from: Type.String({ description: 'The node it leaves; while nodeRef still names it, its agent has not confirmed that all is removed' }),
  to: Type.Optional(Type.String({ description: 'The node it is to go to; without it the scheduler chooses' })),
  requestedAt: Timestamp,
});
export type ProjectMove = Readonly<Static<typeof ProjectMove>>;

/** A Secret that the spec uses. What is `missing` shows what it was last, so that nothing that runs has to change for it. */
export const UsedSecret = Closed({
  name: Text(DNS_SUBDOMAIN),
  missing: Type.Optional(Type.Boolean()),
  fingerprint: Type.Optional(Type.String({ description: 'Of all values; there where a service takes all of them' })),
  keys: Type.Array(Closed({ name: Text(SECRET_KEY), missing: Type.Optional(Type.Boolean()), fingerprint: Type.Optional(Type.String()) })),
});
export type UsedSecret = Readonly<Static<typeof UsedSecret>>;

/** A service that was asked to be restarted: its container is replaced by a new one. */
export const ServiceRestart = Closed({ service: Text(DNS_LABEL), at: Timestamp });
export type ServiceRestart = Readonly<Static<typeof ServiceRestart>>;

/** How the current generation came about. */
export const ProjectChange = Closed({
  at: Timestamp,
  cause: Type.String({ description: 'Such as: apply; undo to revision 3; restart web' }),
});
export type ProjectChange = Readonly<Static<typeof ProjectChange>>;

/** What the agent of a fenced Project may go by while it hears nothing; without `after` nobody can tell. */
export const FenceStatus = Closed({ after: Type.Optional(Text(DURATION, 'The longest onNodeLost.after that it may know of')) });
export type FenceStatus = Readonly<Static<typeof FenceStatus>>;

export interface ProjectStatus {
  readonly phase: ProjectPhase;
  /** name of the node it is bound to */
  readonly nodeRef?: string;
  /** +1 each time a node is chosen; 0 before the first */
  readonly assignment: number;
  readonly observedGeneration: number;
  readonly services: readonly ServiceStatus[];
  readonly conditions: readonly Condition[];
  /** why the phase is what it is, where the phase alone does not say it: a CamelCase word and a sentence */
  readonly reason?: string;
  readonly message?: string;
  /** from the request until another node is chosen, or none was found for a while */
  readonly move?: ProjectMove;
  /** the Secrets that spec uses, by name: agents replace a container when a fingerprint that concerns it changes */
  readonly secrets?: readonly UsedSecret[];
  /** +1 each time a value of them changes; agents repeat it in their reports, as observedGeneration says which spec they speak of */
  readonly secretsRevision?: number;
  /** the newest generation all of whose services got ready; it goes on running while a later one is brought up, or was rolled back to it */
  readonly goodGeneration?: number;
  /** the latest of each service that was asked to be restarted */
  readonly restarts?: readonly ServiceRestart[];
  /** of the current generation; without: as it was created */
  readonly change?: ProjectChange;
  /** while it is fenced and has a node: the server gives it away only when this is over */
  readonly fence?: FenceStatus;
}

export interface ProjectObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Project';
  readonly metadata: ObjectMeta;
  readonly spec: ProjectSpec;
  readonly status: ProjectStatus;
}

export const ProjectSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Project'),
  metadata: Meta,
  spec: ProjectSpec,
  status: Closed({
    phase: OneOf(PROJECT_PHASES),
    nodeRef: Type.Optional(Type.String()),
    assignment: Type.Integer({ minimum: 0 }),
    observedGeneration: Type.Integer({ minimum: 0 }),
    services: Type.Array(ServiceStatus),
    conditions: Type.Array(ConditionSchema),
    reason: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
    move: Type.Optional(ProjectMove),
    secrets: Type.Optional(Type.Array(UsedSecret)),
    secretsRevision: Type.Optional(Type.Integer({ minimum: 1, description: 'Raised by each change of a value that the spec uses' })),
    goodGeneration: Type.Optional(Type.Integer({ minimum: 1, description: 'The newest generation all of whose services got ready' })),
    restarts: Type.Optional(Type.Array(ServiceRestart)),
    change: Type.Optional(ProjectChange),
    fence: Type.Optional(FenceStatus),
  }),
});

/** Phases that an agent may report. */
export const REPORTED_PHASES = ['Scheduled', 'Running', 'Failed', 'Terminating', 'Terminated'] as const;

/** Body of `PATCH /projects/{name}/status`. What it does not have is dropped, not refused: an agent may be newer than its server (report.ts). */
export const StatusReport = Closed({
  phase: OneOf(REPORTED_PHASES),
  reason: Type.Optional(Type.String({ pattern: '^[A-Z][A-Za-z0-9]*$', maxLength: 64, expects: 'a CamelCase word' })),
  message: Type.Optional(Type.String({ maxLength: 16_384 })),
  assignment: Type.Optional(Type.Integer({ minimum: 0, description: 'The number that the work was assigned under; a stale one gets 409' })),
  /** the Project's uid, so that a report for one deleted and made anew under its name is refused */
  uid: Type.Optional(Type.String({ maxLength: 64 })),
  observedGeneration: Type.Optional(Type.Integer({ minimum: 0 })),
  /** the status.secretsRevision that it speaks of; left out it counts as the current one */
  secretsRevision: Type.Optional(Type.Integer({ minimum: 0 })),
  /** the newest generation that this agent has seen all services of ready */
  goodGeneration: Type.Optional(Type.Integer({ minimum: 0 })),
  services: Type.Optional(Type.Array(ServiceStatus, { maxItems: 128 })),
  /** the id of the epoch that the agent's assignments are of, "" for none: after a restore it hears of its assignments anew before it reports */
  epoch: Type.Optional(Type.String({ maxLength: 64 })),
});
export type StatusReport = Readonly<Static<typeof StatusReport>>;
