/** The API as functions, for agents and for people's tools. Every failure is an ApiError. */
import { AGENT_CREDENTIAL_HEADER, GRANT_HEADER, HOLD_HEADER, RIVAL_HEADER } from '../api/headers.ts';
import type { LinkReport } from '../api/node/link-report.ts';
import type { Heartbeat, NodeObject, Registration } from '../api/node.ts';
import type { NodeStats } from '../api/node/node-stats.ts';
import type { ProjectObject, StatusReport } from '../api/project.ts';
import type { SecretObject } from '../api/secret.ts';
import type { Epoch } from '../api/version-report.ts';
import { createEventClient, type EventClient } from './event-client.ts';
import { createLogClient, type LogClient } from './log-client.ts';
import { createMoveClient, type MoveClient } from './move-client.ts';
import { createRolloutClient, type RolloutClient } from './rollout-client.ts';
import { createReachClient, type ReachClient } from './reach-client.ts';
import { createResourceClient, type ResourceClient } from './resource-client.ts';
import { createSecretClient, type SecretClient } from './secret-client.ts';
import { createServerClient, type ServerClient } from './server-client.ts';
import { createHeldClient, type HeldClient } from './held-client.ts';
import { createVolumeClient, type VolumeClient } from './volume-client.ts';
import type { Transport } from './transport.ts';

export interface ServerVersion {
  readonly version: string;
  readonly apiVersion: string;
  /** names the control plane; agents label what they run with it */
  readonly clusterId: string;
  /** absent: nothing was ever restored */
  readonly epoch?: Epoch;
}

export interface HeartbeatAnswer {
  /** where it is there, the heartbeat did not count: to be sent again at once, with this as `identity.answer` */
  readonly challenge?: string;
  /** how long from its sending the heartbeat counts, in milliseconds; not there: what is fenced gains nothing by it */
  readonly grantedMs?: number;
  /** another machine claims the name and is refused: a sentence on it */
  readonly rival?: string;
  /** see HOLD_HEADER; not there: nobody else may be this machine */
  readonly holdMs?: number;
}

export interface Registered {
  readonly node: NodeObject;
  /** what the server will show the agent's own API; a server of an earlier version gives none */
  readonly agentCredential?: string;
}

export interface CaraClient {
  readonly serverUrl: string;
  readonly nodes: ResourceClient<NodeObject>;
  readonly projects: ResourceClient<ProjectObject>;
  readonly events: EventClient;
  readonly moves: MoveClient;
  readonly logs: LogClient;
  readonly rollouts: RolloutClient;
  readonly reach: ReachClient;
  readonly secrets: SecretClient;
  readonly servers: ServerClient;
  readonly volumes: VolumeClient;
  readonly held: HeldClient;
  version(signal: AbortSignal): Promise<ServerVersion>;
  registerNode(name: string, registration: Registration, signal: AbortSignal): Promise<Registered>;
  /** @throws {ApiError} NodeDeleted (410), NotFound (404); NameTaken, DuplicateIdentity (409) while another machine holds the name */
  sendHeartbeat(name: string, heartbeat: Heartbeat, signal: AbortSignal): Promise<HeartbeatAnswer>;
  /** Lets whoever registers next have the node's name. @throws {ApiError} NotFound */
  resetIdentity(name: string, signal: AbortSignal): Promise<NodeObject>;
  /** How the server reaches the node's agent now. @throws {ApiError} NotFound */
  measureLink(node: string, signal: AbortSignal): Promise<LinkReport>;
  /** What the node and its services use: counters, of which two samples make rates. @throws {ApiError} NotFound, NodeUnreachable */
  readStats(node: string, signal: AbortSignal): Promise<NodeStats>;
  /** @throws {ApiError} StaleAssignment (409), NotFound (404) */
  reportStatus(project: string, report: StatusReport, signal: AbortSignal): Promise<void>;
}

const API = '/api/v1';

export function createCaraClient(transport: Transport): CaraClient {
  return {
    get serverUrl() {
      return transport.serverUrl;
    },
    nodes: createResourceClient<NodeObject>(transport, 'nodes'),
    projects: createResourceClient<ProjectObject>(transport, 'projects'),
    events: createEventClient(transport),
    moves: createMoveClient(transport),
    servers: createServerClient(transport),
    logs: createLogClient(transport),
    rollouts: createRolloutClient(transport),
    reach: createReachClient(transport),
    secrets: createSecretClient(transport, createResourceClient<SecretObject>(transport, 'secrets')),
    volumes: createVolumeClient(transport),
    held: createHeldClient(transport),
    version: async (signal) => (await transport.request({ method: 'GET', path: `${API}/version` }, signal)).body as ServerVersion,
    registerNode: async (name, registration, signal) => {
      const path = `${API}/nodes/${encodeURIComponent(name)}/register`;
      const { body, headers } = await transport.request({ method: 'POST', path, body: registration }, signal);
      const agentCredential = headers.get(AGENT_CREDENTIAL_HEADER);
      return { node: body as NodeObject, ...(agentCredential !== null && { agentCredential }) };
    },
    sendHeartbeat: async (name, heartbeat, signal) => {
      const path = `${API}/nodes/${encodeURIComponent(name)}/heartbeat`;
      const { headers } = await transport.request({ method: 'POST', path, body: heartbeat }, signal);
      const challenge = headers.get('cara-challenge');
      const granted = headers.get(GRANT_HEADER);
      const rival = headers.get(RIVAL_HEADER);
      const hold = headers.get(HOLD_HEADER);
      return {
        ...(challenge !== null && { challenge }),
        ...(granted !== null && { grantedMs: Number(granted) }),
        ...(rival !== null && { rival: decodeURIComponent(rival) }),
        ...(hold !== null && { holdMs: Number(hold) }),
      };
    },
    resetIdentity: async (name, signal) => {
      const path = `${API}/nodes/${encodeURIComponent(name)}/reset-identity`;
      return (await transport.request({ method: 'POST', path }, signal)).body as NodeObject;
    },
    measureLink: async (node, signal) =>
      (await transport.request({ method: 'GET', path: `${API}/nodes/${encodeURIComponent(node)}/link` }, signal)).body as LinkReport,
    readStats: async (node, signal) =>
      (await transport.request({ method: 'GET', path: `${API}/nodes/${encodeURIComponent(node)}/stats` }, signal)).body as NodeStats,
    reportStatus: async (project, report, signal) => {
      const path = `${API}/projects/${encodeURIComponent(project)}/status`;
      await transport.request({ method: 'PATCH', path, body: report, contentType: 'application/merge-patch+json' }, signal);
    },
  };
}
