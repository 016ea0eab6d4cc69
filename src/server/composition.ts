/**
 * The server's parts, put together for one seat: once by main.ts, or anew at each change of role by cluster/start-cluster.ts. The groups
 * that belong together are put together in their folders (start-….ts).
 *
 *   store ──> mirrors ──> node registry, scheduler, controllers ──> store
 *   app (routes) ──> services ──> store;  mirrors ──> event source ──> event recorder ──> store
 */
import type { FastifyInstance } from 'fastify';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { NodeObject } from '../api/node.ts';
import type { ProjectObject } from '../api/project.ts';
import type { ServerObject } from '../api/server.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { createMetrics, type ServerMetrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { Stopper } from '../base/stopper.ts';
import { createMirror, type Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { createAuditFile, createAuditMemory } from './audit/audit-file.ts';
import { createAuditLog, type AuditLog } from './audit/audit-log.ts';
import { createNodeKeys } from './auth/node-keys.ts';
import { startAuth } from './auth/start-auth.ts';
import type { TokenService } from './auth/token-service.ts';
import { startBackups, type Backups } from './backup/start-backups.ts';
import { loadCluster } from './cluster/cluster-record.ts';
import { delaySpawns, leadersSpawner, SOLE_SEAT, type Seat } from './cluster/seat.ts';
import { soleServer } from './cluster/server-objects.ts';
import type { RoleParts } from './cluster/start-cluster.ts';
import { isLoopback } from './config.ts';
import { drained } from './events/drain-events.ts';
import { startEvents } from './events/start-events.ts';
import { boundUrl, toReachableUrl } from './listen.ts';
import { createHeldService } from './held/held-service.ts';
import { createApp } from './http/app.ts';
import { Lanes } from './http/lanes.ts';
import type { NodeRegistry } from './nodes/node-registry.ts';
import { startNodes } from './nodes/start-nodes.ts';
import { isKept, type ServerPorts } from './ports.ts';
import { longestHoldMs } from './projects/fence-terms.ts';
import { startProjects } from './projects/start-projects.ts';
import { startSecrets } from './secrets/start-secrets.ts';
import type { TlsKeeper } from './tls/tls-keeper.ts';
import { startLinks, type LinkParts } from './tunnel/start-links.ts';
import { startVolumes } from './volumes/start-volumes.ts';

export interface PartsPorts extends ServerPorts {
  readonly tls: TlsKeeper | undefined;
}

export interface ServerParts extends RoleParts, Pick<LinkParts, 'links' | 'tunnels'> {
  readonly app: FastifyInstance;
  readonly registry: NodeRegistry;
  readonly tokens: TokenService;
}

/** What nearly every part takes. */
interface Base {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
}

/** All that controllers and events look at. */
interface Views extends Base {
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
}

/** Everything but the socket, in the order in which parts need each other. @throws {StartError} */
export async function startParts(ports: PartsPorts, seat: Seat, store: Store, stopper: Stopper): Promise<ServerParts> {
  const { config, clock, random, log, tls } = ports;
  const lead = leadersSpawner(seat, stopper);
  // for what looks at the whole fleet when it begins, a second's work with a large one: once the server serves
  const { spawner: later, begin } = delaySpawns(lead);
  const base: Base = { store, clock, random, log, metrics: createMetrics() };
  const cluster = await loadCluster(base);
  const views: Views = {
    ...base,
    nodes: createMirror<NodeObject>({ ...base, kind: 'Node' }),
    projects: createMirror<ProjectObject>({ ...base, kind: 'Project' }),
  };
  const { nodes, projects } = views;
  // before the mirrors run: it must see where their first lists end
  const happenings = startEvents({ ...views, clusterId: cluster.id, isTold: seat.role === 'leads', lead });
  const audit = startAudit(ports, stopper);
  const nodeKeys = createNodeKeys({ ...base, clusterId: cluster.id, needsApproval: config.NODE_APPROVAL === 'required' });
  const { registry, service, save } = await startNodes({
    ...views,
    stopper,
    lead,
    seat,
    heartbeatTimeoutMs: config.NODE_HEARTBEAT_TIMEOUT,
    longestAfterMs: (node) => longestHoldMs(projects.items().values(), node),
    writesOfDeletion: (name, forgotten) => nodeKeys.writesOfDeletion(name, forgotten),
  });
  const isShared = seat !== SOLE_SEAT;
  const secretParts = await startSecrets({ ...views, settings: config, isVolatile: !isKept(ports), isShared, stopper, lead: later });
  stopper.spawn('project-mirror', (signal) => projects.run(signal));
  await projects.ready();
  const volumes = startVolumes({ ...views, stopper, lead });
  const isNetworkTrusted = tls === undefined && !isLoopback(config.HOST);
  const reach = startLinks({ ...base, ...secretParts, isNetworkTrusted, registry, nodes, stopper });
  const auth = await startAuth({ ...base, settings: config, stopper });
  const started = startProjects({
    ...views,
    epoch: cluster.epoch,
    fences: registry.fences,
    isOutdated: (node) => registry.view.isOutdated(node),
    nodeHeartbeatTimeoutMs: config.NODE_HEARTBEAT_TIMEOUT,
    terminationTimeoutMs: config.PROJECT_TERMINATION_TIMEOUT,
    cordon: (node) => service.patch(node, { spec: { unschedulable: true } }),
    onEmpty: (node) => happenings.recorder.record(drained(node)),
    later,
  });
  const backups = await startBackups({ ...base, config, isOwn: ports.store === undefined, stopper: lead });
  const lanes = new Lanes(base);
  stopper.spawn('lanes', (signal) => lanes.run(signal));
  const app = createApp({
    ...base,
    registry,
    nodes: service,
    projects: started.service,
    rollouts: started.rollouts,
    moves: started.moves,
    held: createHeldService({ ...base, epoch: cluster.epoch }),
    events: happenings.events,
    ...secretParts,
    volumes,
    ...reach,
    ...auth,
    nodeKeys,
    audit,
    labelsOf: (kind, name) => (kind === 'Project' ? projects.get(name)?.metadata.labels : undefined),
    cluster,
    warnings: () => [...backups.warnings(), ...(tls?.warnings() ?? [])],
    tls,
    authorities: () => tls?.material.roots ?? [],
    projectMirror: projects,
    stopSignal: stopper.signal,
    measure: () => measure(views, { lanes, backups }),
    listServers: seat.listServers ?? listSoleServer(ports, () => boundUrl(app, config.HOST)),
    onRequest: seat.onRequest,
    takesBeats: seat.role === 'leads',
    lanes,
  });
  const close = async (): Promise<void> => {
    await backups.close();
    await audit.close();
    happenings[Symbol.dispose]();
    secretParts.secretUsers[Symbol.dispose]();
    auth.bearers[Symbol.dispose]();
    base.metrics.close();
  };
  return { app, registry, tokens: auth.tokens, ...reach, begin, close, save };
}

function startAudit(ports: ServerPorts, stopper: Stopper): AuditLog {
  const { clock, log, config } = ports;
  const sink = isKept(ports) ? createAuditFile(join(config.DATA_DIR, 'audit.jsonl')) : createAuditMemory();
  const audit = createAuditLog({ clock, log, sink });
  stopper.spawn('audit-log', (signal) => audit.run(signal));
  return audit;
}

/** Sets the gauges that are counted at each scrape. */
async function measure({ store, metrics, nodes, projects }: Views, { lanes, backups }: { lanes: Lanes; backups: Backups }): Promise<void> {
  metrics.requestsWaiting.set(lanes.waiting);
  metrics.databaseBytes.set(await store.size());
  backups.measure();
  metrics.nodes.reset();
  nodes.items().forEach(({ status }) => metrics.nodes.inc({ state: status.state }));
  metrics.projects.reset();
  projects.items().forEach(({ status }) => metrics.projects.inc({ phase: status.phase }));
}

/** What `caractrl get servers` shows where there is no other. @param getUrl of where it listens, once it does */
function listSoleServer({ config, clock, random }: ServerPorts, getUrl: () => string | undefined): () => Promise<readonly ServerObject[]> {
  const facts = { id: random.uuid(), name: config.SERVER_NAME ?? hostname(), startedAt: new Date(clock.wallMs()) };
  return async () => {
    const url = config.ADVERTISE_URL ?? toReachableUrl(getUrl() ?? `http://${config.HOST}:${config.PORT}`, config.HOST);
    return [soleServer({ ...facts, url, now: new Date(clock.wallMs()) })];
  };
}
