/** The API as functions, for agents and for people's tools. Every failure is an ApiError. */
import { AGENT_CREDENTIAL_HEADER, GRANT_HEADER, HOLD_HEADER, RIVAL_HEADER } from '../api/headers.ts';
import type { ObjectList } from '../api/meta.ts';
import type { LinkReport } from '../api/node/link-report.ts';
import type { Heartbeat, NodeObject, Registration } from '../api/node.ts';
import type { NodeStats } from '../api/node/node-stats.ts';
import type { ProjectObject, ProjectPhase, StatusReport } from '../api/project.ts';
import type { SecretObject } from '../api/secret.ts';
import type { Epoch } from '../api/version-report.ts';
import type { WatchEvent } from '../api/watch-event.ts';
import { hasReason } from '../api/errors.ts';
import { createEventClient, type EventClient } from './event-client.ts';
import { createLogClient, type LogClient } from './log-client.ts';
import { createMoveClient, type MoveClient } from './move-client.ts';
import { createRolloutClient, type RolloutClient } from './rollout-client.ts';
import { createReachClient, type ReachClient } from './reach-client.ts';
import { createSecretClient, type SecretClient } from './secret-client.ts';
import { createServerClient, type ServerClient } from './server-client.ts';
import { createHeldClient, type HeldClient } from './held-client.ts';
import { createVolumeClient, type VolumeClient } from './volume-client.ts';
import type { ApiAnswer, ApiRequest, Transport } from './transport.ts';
import { watchPath } from './watch-path.ts';

export interface ListQuery {
  readonly labelSelector?: string;
  /** projects alone */
  readonly phase?: readonly ProjectPhase[];
  /** projects alone: bound to this node */
  readonly nodeRef?: string;
}

export const APPLY_RESULTS = ['created', 'configured', 'unchanged'] as const;
export type ApplyResult = (typeof APPLY_RESULTS)[number];

export interface Applied<Item> {
  readonly object: Item;
  readonly result: ApplyResult;
  /** what the server wants said, such as "status is ignored" */
  readonly warnings: readonly string[];
}

export interface ResourceClient<Item> {
  /** @throws {ApiError} NotFound */
  get(name: string, signal: AbortSignal): Promise<Item>;
  find(name: string, signal: AbortSignal): Promise<Item | undefined>;
  /** All pages as one list. */
  list(query: ListQuery, signal: AbortSignal): Promise<ObjectList<Item>>;
  /** Create or change, as `caractrl apply` does. */
  apply(name: string, manifest: unknown, signal: AbortSignal): Promise<Applied<Item>>;
  patch(name: string, mergePatch: unknown, signal: AbortSignal): Promise<Item>;
  /** `object`: while it is still going (202), or its last state (200); none once it is gone. */
  delete(
    name: string,
    options: { readonly force?: boolean },
    signal: AbortSignal,
  ): Promise<{ readonly isGone: boolean; readonly object?: Item; readonly warnings: readonly string[] }>;
  /** Events after `since` (a resourceVersion), or, without it, ADDED for each object that is there first. Ends when the server ends it. @throws {ApiError} Expired */
  watch(query: ListQuery & { readonly since?: string }, signal: AbortSignal): AsyncIterable<WatchEvent<Item>>;
}

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
const PAGE_SIZE = 500;

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

function createResourceClient<Item>(transport: Transport, plural: 'nodes' | 'projects' | 'secrets'): ResourceClient<Item> {
  const pathOf = (name: string): string => `${API}/${plural}/${encodeURIComponent(name)}`;
  const send = (request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> => transport.request(request, signal);
  const get = async (name: string, signal: AbortSignal): Promise<Item> =>
    (await send({ method: 'GET', path: pathOf(name) }, signal)).body as Item;
  return {
    get,
    find: async (name, signal) => {
      try {
        return await get(name, signal);
      } catch (error) {
        if (hasReason(error, 'NotFound')) {
          return undefined;
        }
        throw error;
      }
    },
    list: async (query, signal) => {
      const items: Item[] = [];
      // A watch that follows must start where the first page was read: what changed while we paged then comes again, and nothing is missed.
      let first: ObjectList<Item> | undefined;
      let next: string | undefined;
      do {
        const parameters = toParameters(query);
        parameters.set('limit', String(PAGE_SIZE));
        if (next !== undefined) {
          parameters.set('continue', next);
        }
        const page = (await send({ method: 'GET', path: `${API}/${plural}?${parameters.toString()}` }, signal)).body as ObjectList<Item>;
        first ??= page;
        items.push(...page.items);
        next = page.metadata.continue;
      } while (next !== undefined);
      return { ...first, metadata: { resourceVersion: first.metadata.resourceVersion }, items };
    },
    apply: async (name, manifest, signal) => {
      const answer = await send(
        { method: 'PATCH', path: pathOf(name), body: manifest, contentType: 'application/apply-patch+json' },
        signal,
      );
      const result =
        APPLY_RESULTS.find((known) => known === answer.headers.get('cara-result')) ?? (answer.status === 201 ? 'created' : 'configured');
      return { object: answer.body as Item, result, warnings: readWarnings(answer.headers) };
    },
    patch: async (name, mergePatch, signal) =>
      (await send({ method: 'PATCH', path: pathOf(name), body: mergePatch, contentType: 'application/merge-patch+json' }, signal))
        .body as Item,
    delete: async (name, { force }, signal) => {
      const answer = await send({ method: 'DELETE', path: `${pathOf(name)}${force === true ? '?force=true' : ''}` }, signal);
      const object = answer.body === undefined ? {} : { object: answer.body as Item };
      return { isGone: answer.status !== 202, ...object, warnings: readWarnings(answer.headers) };
    },
    watch: (query, signal) => {
      const parameters = toParameters(query);
      parameters.set('watch', 'true');
      if (query.since !== undefined) {
        parameters.set('resourceVersion', query.since);
      }
      return watchPath<Item>(transport, `${API}/${plural}?${parameters.toString()}`, signal);
    },
  };
}

function toParameters(query: ListQuery): URLSearchParams {
  const parameters = new URLSearchParams();
  if (query.labelSelector !== undefined) {
    parameters.set('labelSelector', query.labelSelector);
  }
  if (query.nodeRef !== undefined) {
    parameters.set('nodeRef', query.nodeRef);
  }
  for (const phase of query.phase ?? []) {
    parameters.append('phase', phase);
  }
  return parameters;
}

/** `Warning: 299 - "text"` headers, their texts. Source: RFC 7234 section 5.5 */
function readWarnings(headers: ApiAnswer['headers']): readonly string[] {
  return [...(headers.get('warning') ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/gu)].map(([, text]) =>
    (text ?? '').replaceAll(/\\(.)/gu, '$1'),
  );
}
