/** The Node resource: a physical or virtual machine running cara-agent. */
import Type, { type Static } from 'typebox';
import { ConditionSchema, ReportedCondition, type Condition } from './condition.ts';
import { API_VERSION, ApplyMeta, Closed, ManifestMeta, Meta, OneOf, Timestamp, type ObjectMeta } from './meta.ts';
import { QUANTITY } from './quantity.ts';

export const NODE_STATES = ['Ready', 'NotReady', 'Draining'] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** The conditions every Node has, in the order in which they are kept and shown. */
export const NODE_CONDITION_TYPES = [
  'Ready',
  'NoHeartbeat',
  'RuntimeUnavailable',
  'DiskPressure',
  'MemoryPressure',
  'Unschedulable',
] as const;

/** The reason with which an agent reports DiskPressure where it is critical: below 2 % free. */
export const DISK_CRITICAL = 'DiskCritical';

/** An exabyte; as text it may be more, in the units that are for it. */
const MAX_NUMBER = 1e18;

/** "2000m", "4Gi" or a plain number; comes back as it was written. */
export const Quantity = Type.Union(
  [Type.String({ pattern: QUANTITY.pattern, maxLength: QUANTITY.maxLength }), Type.Number({ minimum: 0, maximum: MAX_NUMBER })],
  {
    expects: QUANTITY.expects,
  },
);

export const ResourceAmounts = Closed({
  cpu: Type.Optional(Quantity),
  memory: Type.Optional(Quantity),
  disk: Type.Optional(Quantity),
});
export type ResourceAmounts = Readonly<Static<typeof ResourceAmounts>>;

export const NetworkStatus = Closed({
  ip: Type.Optional(Type.String({ maxLength: 64, description: 'Address under which the server can reach the node' })),
  dnsName: Type.Optional(Type.String({ maxLength: 255, description: 'MagicDNS name' })),
  mode: Type.Optional(OneOf(['Direct', 'DERP'], 'Direct where a peer-to-peer path exists, DERP where relayed')),
  agentPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: "TCP port the agent's HTTP server listens on" })),
  throughput: Type.Optional(
    Closed({
      download: Type.Optional(Type.String({ maxLength: 64 })),
      upload: Type.Optional(Type.String({ maxLength: 64 })),
      lastTestTime: Type.Optional(Timestamp),
    }),
  ),
});
export type NetworkStatus = Readonly<Static<typeof NetworkStatus>>;

const InfoText = Type.Optional(Type.String({ maxLength: 256 }));
export const NodeInfo = Closed({
  kernelVersion: InfoText,
  osImage: InfoText,
  architecture: InfoText,
  containerRuntimeVersion: InfoText,
  agentVersion: InfoText,
});
export type NodeInfo = Readonly<Static<typeof NodeInfo>>;

export const NodeSpec = Closed({
  hostname: Type.Optional(Type.String({ maxLength: 253, description: 'OS-level hostname; informational' })),
  unschedulable: Type.Optional(Type.Boolean({ description: 'When true, no new Projects are scheduled here' })),
});

/** A Node as `caractrl apply` sends it: what it leaves out stays as it is, null removes. */
export const NodeApply = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Node', { expects: 'Node' }),
  metadata: ApplyMeta,
  spec: Type.Optional(
    Closed({
      hostname: Type.Optional(Type.Union([Type.String({ maxLength: 253 }), Type.Null()], { expects: 'a host name, or null to remove it' })),
      unschedulable: Type.Optional(Type.Union([Type.Boolean(), Type.Null()], { expects: 'true, false, or null for false' })),
    }),
  ),
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type NodeApply = Static<typeof NodeApply>;

/** What the server keeps: `unschedulable` is always there. */
export interface NodeSpec {
  readonly hostname?: string;
  readonly unschedulable: boolean;
}

export const NodeManifest = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Node', { expects: 'Node' }),
  metadata: ManifestMeta,
  spec: Type.Optional(NodeSpec),
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type NodeManifest = Static<typeof NodeManifest>;

export interface NodeStatus {
  readonly state: NodeState;
  readonly network?: NetworkStatus;
  readonly capacity?: ResourceAmounts;
  readonly allocatable?: ResourceAmounts;
  /** when the server last heard from the agent, RFC 3339; kept in memory and laid over what the store has when a node is read */
  readonly lastHeartbeat?: string;
  readonly conditions: readonly Condition[];
  readonly info?: NodeInfo;
}

export interface NodeObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Node';
  readonly metadata: ObjectMeta;
  readonly spec: NodeSpec;
  readonly status: NodeStatus;
}

/** The schema of NodeObject, for answers and documentation. */
export const NodeSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Node'),
  metadata: Meta,
  spec: Closed({ hostname: Type.Optional(Type.String()), unschedulable: Type.Boolean() }),
  status: Closed({
    state: OneOf(NODE_STATES),
    network: Type.Optional(NetworkStatus),
    capacity: Type.Optional(ResourceAmounts),
    allocatable: Type.Optional(ResourceAmounts),
    lastHeartbeat: Type.Optional(Timestamp),
    conditions: Type.Array(ConditionSchema),
    info: Type.Optional(NodeInfo),
  }),
});

const IDENTITY = {
  id: Type.String({ minLength: 8, maxLength: 128, description: "Made at the agent's first start, kept in its data folder" }),
  bootId: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'Made anew at each start of the agent' })),
  machine: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 128,
      description: 'The same for as long as the machine is up: a boot makes it anew, and so does a copy',
    }),
  ),
  unproven: Type.Optional(
    Type.Boolean({
      description: 'Since this id was accepted last `machine` has changed: this is it after a boot, or a copy of it. It starts nothing yet',
    }),
  ),
};

/**
 * Body of `POST /nodes/{name}/heartbeat`. Everything is optional; `state` counts as liveness only. What it does not have is dropped, not
 * refused, as in Registration and StatusReport: an agent may be newer than its server (report.ts).
 */
export const Heartbeat = Closed({
  network: Type.Optional(NetworkStatus),
  capacity: Type.Optional(ResourceAmounts),
  allocatable: Type.Optional(ResourceAmounts),
  info: Type.Optional(NodeInfo),
  conditions: Type.Optional(Type.Array(ReportedCondition, { maxItems: 32 })),
  state: Type.Optional(OneOf(NODE_STATES)),
  identity: Type.Optional(
    Closed(
      {
        ...IDENTITY,
        answer: Type.Optional(Type.String({ maxLength: 128, description: 'The Cara-Challenge of the answer to the last heartbeat' })),
      },
      'Who beats: of two live machines under one name the second is refused. Agents that do not say are not told apart',
    ),
  ),
});
export type Heartbeat = Readonly<Static<typeof Heartbeat>>;

/**
 * Body of `POST /nodes/{name}/register`, sent by an agent at each start, and again where the server does not know it, or what it gave it, any
 * more: that is no start, and of a node that was deleted it is refused.
 */
export const Registration = Closed({
  hostname: Type.Optional(Type.String({ maxLength: 253 })),
  info: Type.Optional(NodeInfo),
  identity: Type.Optional(Closed(IDENTITY, 'Who the agent is: two live identities cannot hold one name')),
  renewal: Type.Optional(
    Type.Boolean({ description: 'This process has registered before: it must not bring back a node that was deleted meanwhile' }),
  ),
  publicKey: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-]{43}$',
      expects: 'an Ed25519 public key, 32 bytes in base64url',
      description: 'With a join token: the key to join with',
    }),
  ),
});
export type Registration = Readonly<Static<typeof Registration>>;
