/**
 * All routes there are, as data: what the app registers, what a wrong method is told by, and what the OpenAPI document describes.
 *
 * Callers  app.ts
 */
import type { ProjectObject } from '../../api/project.ts';
import type { ServerObject } from '../../api/server.ts';
import type { Random } from '../../base/random.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { LoginLimit } from '../auth/login-limit.ts';
import type { NodeKeys } from '../auth/node-keys.ts';
import type { LabelsOf } from '../auth/scope.ts';
import type { TokenService } from '../auth/token-service.ts';
import type { Credentials } from '../auth/credentials.ts';
import type { Cluster } from '../cluster/cluster-record.ts';
import type { EventService } from '../events/event-service.ts';
import type { HeldService } from '../held/held-service.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { NodeService } from '../nodes/node-service.ts';
import type { MoveService } from '../projects/move-service.ts';
import type { ProjectService } from '../projects/project-service.ts';
import type { RolloutService } from '../projects/rollout-service.ts';
import type { SecretService } from '../secrets/secret-service.ts';
import type { SecretUsers } from '../secrets/secret-users.ts';
import type { AgentCredentials } from '../tunnel/agent-credentials.ts';
import type { NodeLinks } from '../tunnel/node-links.ts';
import type { TunnelRegistry } from '../tunnel/tunnel-registry.ts';
import type { VolumeService } from '../volumes/volume-service.ts';
import { describeApi } from './openapi.ts';
import type { Route } from './route.ts';
import { auditRoutes } from './routes/audit.ts';
import { authRoutes } from './routes/auth.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { describeHeartbeat } from './routes/heartbeats.ts';
import { heldRoutes } from './routes/held-projects.ts';
import { logRoutes } from './routes/logs.ts';
import { moveRoutes } from './routes/moves.ts';
import { nodeKeyRoutes } from './routes/node-keys.ts';
import { nodeStatsRoutes } from './routes/node-stats.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { projectRoutes } from './routes/projects.ts';
import { reachRoutes } from './routes/reach.ts';
import { rolloutRoutes } from './routes/rollouts.ts';
import { secretRoutes } from './routes/secrets.ts';
import { serverRoutes } from './routes/servers.ts';
import { throughputRoutes } from './routes/throughput.ts';
import { tunnelRoutes } from './routes/tunnel.ts';
import { volumeRoutes } from './routes/volumes.ts';
import type { WatchDeps } from './watch-response.ts';

/** What stands behind the routes. */
export interface RoutesDeps extends WatchDeps {
  readonly random: Random;
  readonly registry: NodeRegistry;
  readonly nodes: NodeService;
  readonly projects: ProjectService;
  readonly moves: MoveService;
  readonly held: HeldService;
  readonly rollouts: RolloutService;
  readonly events: EventService;
  readonly secrets: SecretService;
  readonly secretUsers: SecretUsers;
  readonly volumes: VolumeService;
  readonly credentials: AgentCredentials;
  readonly tunnels: TunnelRegistry;
  readonly links: NodeLinks;
  readonly projectMirror: Mirror<ProjectObject>;
  readonly bearers: Pick<Credentials, 'hold' | 'holdNode'>;
  readonly tokens: TokenService;
  readonly loginLimit: LoginLimit;
  readonly nodeKeys: NodeKeys;
  readonly audit: AuditLog;
  readonly labelsOf: LabelsOf;
  readonly cluster: Cluster;
  /** what is wrong though the server serves, in sentences */
  readonly warnings: () => readonly string[];
  /** sets the gauges that are counted at each scrape */
  readonly measure: () => Promise<void>;
  readonly listServers: () => Promise<readonly ServerObject[]>;
  /** authorities that clients of this server may pin, in PEM */
  readonly authorities?: () => readonly string[];
}

export interface Routes {
  readonly all: readonly Route[];
  /** but those that have a body parser of their own: heartbeats, and throughput tests */
  readonly plain: readonly Route[];
  readonly throughput: readonly Route[];
}

export function createRoutes(deps: RoutesDeps): Routes {
  const heartbeat = describeHeartbeat();
  const throughput = throughputRoutes(deps);
  const all: readonly Route[] = [
    ...healthRoutes({ ...deps, describeApi: () => describeApi(all) }),
    ...nodeRoutes(deps),
    heartbeat,
    ...projectRoutes(deps),
    ...moveRoutes(deps),
    ...heldRoutes(deps),
    ...rolloutRoutes(deps),
    ...eventRoutes(deps),
    ...throughput,
    ...secretRoutes(deps),
    ...volumeRoutes(deps),
    ...tunnelRoutes(deps),
    ...authRoutes(deps),
    ...serverRoutes(deps),
    ...logRoutes(deps),
    ...nodeKeyRoutes(deps),
    ...auditRoutes(deps),
    ...reachRoutes(deps),
    ...nodeStatsRoutes(deps),
  ];
  return { all, plain: all.filter((route) => route !== heartbeat && !throughput.includes(route)), throughput };
}
