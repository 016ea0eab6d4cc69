/**
 * cara-server: the program, and the lifetime of a server. Nothing else sees all parts. Everything that touches the world comes in
 * as a port, so that the simulation can run a server among many agents in one process.
 *
 * Owns     the store, the stopper of all loops, and the order of start and stop.
 * Callers  bin/cara-server; tests and the simulation call `startServer`.
 */
import type { FastifyInstance } from 'fastify';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { NodeObject } from '../api/node.ts';
import type { ProjectObject } from '../api/project.ts';
import type { ServerObject } from '../api/server.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { redactConfig } from '../base/config.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { runProgram, runTask, type Program, type RunningProgram } from '../base/program.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { Stopper } from '../base/stopper.ts';
import { VERSION } from '../base/version.ts';
import { createMirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { createAuditFile, createAuditMemory } from './audit/audit-file.ts';
import { createAuditLog } from './audit/audit-log.ts';
import { createNodeKeys } from './auth/node-keys.ts';
import { greet } from './auth/first-start.ts';
import { listenLocally } from './auth/local-socket.ts';
import { asksForCredentials } from './auth/mode.ts';
import { runTokenCommand, TOKEN_COMMAND } from './auth/token-command.ts';
import { startAuth } from './auth/start-auth.ts';
import type { TokenService } from './auth/token-service.ts';
import { delaySpawns, leadersSpawner, SOLE_SEAT, type Seat } from './cluster/seat.ts';
import type { ClusterPorts } from './cluster/start-cluster.ts';
import { soleServer } from './cluster/server-objects.ts';
import { databaseUrlOf, isLoopback, isPostgresUrl, serverSettings, type ServerConfig } from './config.ts';
import { createCrowdEvents } from './events/crowd-events.ts';
import { drained } from './events/drain-events.ts';
import { createBackupTask, createRestoreTask, BACKUP_COMMAND, RESTORE_COMMAND } from './backup/backup-commands.ts';
import { startBackups } from './backup/start-backups.ts';
import { loadCluster } from './cluster/cluster-record.ts';
import { createEventRecorder } from './events/event-recorder.ts';
import { createEventService } from './events/event-service.ts';
import { createEventSource } from './events/event-source.ts';
import { createHeldService } from './held/held-service.ts';
import { createApp } from './http/app.ts';
import { Lanes } from './http/lanes.ts';
import { closeApp, listen, toReachableUrl } from './listen.ts';
import type { NodeRegistry } from './nodes/node-registry.ts';
import { startNodes } from './nodes/start-nodes.ts';
import { openOwnStore } from './own-store.ts';
import { longestHoldMs } from './projects/fence-terms.ts';
import { createMoveService } from './projects/move-service.ts';
import { createProjectController } from './projects/project-controller.ts';
import { createProjectService } from './projects/project-service.ts';
import { createRolloutService } from './projects/rollout-service.ts';
import { createScheduler } from './scheduler/scheduler.ts';
import { createRotateTask, DROP_FLAG, ROTATE_COMMAND } from './secrets/rotate-command.ts';
import { openSealer, startSecrets } from './secrets/start-secrets.ts';
import { startTls } from './tls/start-tls.ts';
import { createTlsTask, DISTRUST_FLAG, TLS_COMMAND } from './tls/tls-command.ts';
import type { TlsKeeper } from './tls/tls-keeper.ts';
import { startVolumes } from './volumes/start-volumes.ts';
import type { NodeLinks } from './tunnel/node-links.ts';
import { startLinks } from './tunnel/start-links.ts';
import type { TunnelRegistry } from './tunnel/tunnel-registry.ts';

export interface ServerPorts {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** given by tests and the simulation, who close it; otherwise DATABASE_URL says which */
  readonly store?: Store;
  /** shows a person what no log may hold; default: nobody is there */
  readonly tell?: (text: string) => void;
  /** given by the simulation: this server is one of several on `store` */
  readonly cluster?: ClusterPorts;
  /** false: no socket, the app is called through `app.inject` */
  readonly listen?: boolean;
}

export interface RunningServer extends RunningProgram {
  /** such as http://127.0.0.1:8080, with the port really bound */
  readonly url: string;
  readonly app: FastifyInstance;
  /** for benchmarks and the simulation, which beat without HTTP */
  readonly registry: NodeRegistry;
  /** the ways to nodes */
  readonly links: NodeLinks;
  readonly tunnels: TunnelRegistry;
}

/** Starts a server; when this resolves it serves. @throws {StartError} */
export async function startServer(ports: ServerPorts): Promise<RunningServer> {
  const { config, clock, log } = ports;
  if (ports.cluster !== undefined || (ports.store === undefined && isPostgresUrl(databaseUrlOf(config)))) {
    return await startMember(ports);
  }
  const store = ports.store ?? (await openOwnStore(ports));
  const { promise: failed, resolve: onFailed } = Promise.withResolvers<unknown>();
  const stopper = new Stopper((loop, error) => {
    log.error({ loop, err: error }, 'loop ended');
    onFailed(error);
  });
  const closeStore = async (): Promise<void> => (ports.store === undefined ? store.close() : undefined);
  try {
    const crashed = failed.then((cause): never => {
      throw cause;
    });
    const tls = ports.listen === false ? undefined : await startTls({ ...ports, stopper });
    const { app, registry, links, tunnels, tokens, begin, close, save } = await Promise.race([
      startParts({ ...ports, tls }, SOLE_SEAT, store, stopper),
      crashed,
    ]);
    const url = ports.listen === false ? 'http://cara-server.invalid' : await listen(app, config);
    const isOwn = ports.store === undefined && ports.listen !== false;
    const closeLocal = isOwn ? await listenLocally(app, { dataDir: config.DATA_DIR, log }) : undefined;
    warnOfExposure(config, { log, tls });
    log.info({ url, dataDir: config.DATA_DIR, version: VERSION }, 'server listening');
    begin();
    await greetPerson(ports, { store, tokens, url, tls });
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      log.info('server stopping');
      // both at once: watches end with the stopper's signal, and only then can the app close
      await Promise.all([closeApp(app, clock), closeLocal?.(), stopper.stop()]);
      await close();
      await save();
      await closeStore();
      log.info('server stopped');
    };
    return { url, app, registry, links, tunnels, failed, stop: () => (stopping ??= stop()) };
  } catch (error) {
    await stopper.stop();
    await closeStore();
    throw error;
  }
}

/** A server on PostgreSQL, where there may be others. */
async function startMember(ports: ServerPorts): Promise<RunningServer> {
  const { config, log } = ports;
  const { startCluster } = await import('./cluster/start-cluster.ts');
  const store = ports.store ?? (await openOwnStore(ports));
  const closeStore = async (): Promise<void> => (ports.store === undefined ? store.close() : undefined);
  const { promise: failed, resolve: onCrash } = Promise.withResolvers<unknown>();
  const stopper = new Stopper((loop, error) => {
    log.error({ loop, err: error }, 'loop ended');
    onCrash(error);
  });
  try {
    const shared = { store, sealer: await openSealer(config, { ...ports, store, isShared: true }) };
    const tls = ports.listen === false ? undefined : await startTls({ ...ports, stopper, shared });
    const start = (seat: Seat, ownStore: Store, roleStopper: Stopper) => startParts({ ...ports, tls }, seat, ownStore, roleStopper);
    const cluster = await startCluster({ ...ports, databaseUrl: databaseUrlOf(config), store, tls, startParts: start, onCrash });
    warnOfExposure(config, { log, tls });
    log.info({ url: cluster.url, dataDir: config.DATA_DIR, version: VERSION }, 'server listening');
    await greetPerson(ports, { store, tokens: cluster.parts().tokens, url: cluster.url, tls });
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      log.info('server stopping');
      await Promise.all([cluster.stop(), stopper.stop()]);
      await closeStore();
      log.info('server stopped');
    };
    return {
      url: cluster.url,
      get app() {
        return cluster.app();
      },
      get registry() {
        return cluster.parts().registry;
      },
      get links() {
        return cluster.parts().links;
      },
      get tunnels() {
        return cluster.parts().tunnels;
      },
      failed,
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await stopper.stop();
    await closeStore();
    throw error;
  }
}

/** Shows, at the very first start, how to get in. */
async function greetPerson(
  ports: ServerPorts,
  {
    url,
    tls,
    ...parts
  }: { readonly store: Store; readonly tokens: TokenService; readonly url: string; readonly tls: TlsKeeper | undefined },
): Promise<void> {
  if (asksForCredentials(ports.config)) {
    const caFingerprint = tls?.material.fingerprint;
    const reachable = ports.config.ADVERTISE_URL ?? toReachableUrl(url, ports.config.HOST);
    const words = await greet({ ...ports, ...parts, url: reachable, caFingerprint });
    if (words !== undefined) {
      ports.tell?.(words);
    }
  }
}

function listSoleServer({ config, clock, random }: ServerPorts): () => Promise<readonly ServerObject[]> {
  const facts = { id: random.uuid(), name: config.SERVER_NAME ?? hostname(), startedAt: new Date(clock.wallMs()) };
  const url = config.ADVERTISE_URL ?? `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${config.PORT}`;
  return async () => [soleServer({ ...facts, url, now: new Date(clock.wallMs()) })];
}

/** Everything but the socket, in the order in which parts need each other. */
async function startParts(ports: ServerPorts & { readonly tls: TlsKeeper | undefined }, seat: Seat, store: Store, stopper: Stopper) {
  const { config, clock, random, log, tls } = ports;
  const lead = leadersSpawner(seat, stopper);
  // for what looks at the whole fleet when it begins, a second's work with a large one: once the server serves
  const { spawner: later, begin } = delaySpawns(lead);
  const metrics = createMetrics();
  const base = { store, clock, random, log, metrics };
  const cluster = await loadCluster(base);
  const nodes = createMirror<NodeObject>({ ...base, kind: 'Node' });
  const projects = createMirror<ProjectObject>({ ...base, kind: 'Project' });
  const recorder = createEventRecorder(base);
  const crowds = createCrowdEvents({ ...base, recorder, clusterId: cluster.id });
  // before the mirrors run: it must see where their first list ends
  const eventSource = seat.role === 'leads' ? createEventSource({ nodes, projects, recorder, crowds }) : undefined;
  lead.spawn('crowd-events', (signal) => crowds.run(signal));
  lead.spawn('event-recorder', (signal) => recorder.run(signal));
  const heartbeatTimeoutMs = config.NODE_HEARTBEAT_TIMEOUT;
  const longestAfterMs = (node: string): number => longestHoldMs(projects.items().values(), node);
  const isKept = ports.store === undefined && !/^(?:memory:|sqlite::memory:)/iu.test(databaseUrlOf(config));
  const audit = createAuditLog({ ...base, sink: isKept ? createAuditFile(join(config.DATA_DIR, 'audit.jsonl')) : createAuditMemory() });
  stopper.spawn('audit-log', (signal) => audit.run(signal));
  const nodeKeys = createNodeKeys({ ...base, clusterId: cluster.id, needsApproval: config.NODE_APPROVAL === 'required' });
  const { registry, service, save } = await startNodes({
    ...base,
    nodes,
    stopper,
    lead,
    seat,
    heartbeatTimeoutMs,
    longestAfterMs,
    writesOfDeletion: (name, forgotten) => nodeKeys.writesOfDeletion(name, forgotten),
  });
  const isVolatile = ports.store !== undefined || /^(?:memory:|sqlite::memory:)/iu.test(databaseUrlOf(config));
  const secretParts = await startSecrets({
    ...base,
    projects,
    settings: config,
    isVolatile,
    isShared: seat !== SOLE_SEAT,
    stopper,
    lead: later,
  });
  stopper.spawn('project-mirror', (signal) => projects.run(signal));
  await projects.ready();

  const volumes = startVolumes({ ...base, nodes, projects, stopper, lead });

  const isNetworkTrusted = tls === undefined && !isLoopback(config.HOST);
  const reach = startLinks({ ...base, ...secretParts, isNetworkTrusted, registry, nodes, stopper });
  const views = { ...base, nodes, projects };
  const auth = await startAuth({ ...base, settings: config, stopper });
  const scheduler = createScheduler({ ...views, assignmentBase: cluster.epoch?.assignmentBase ?? 0 });
  const controller = createProjectController({
    ...views,
    fences: registry.fences,
    nodeHeartbeatTimeoutMs: heartbeatTimeoutMs,
    terminationTimeoutMs: config.PROJECT_TERMINATION_TIMEOUT,
  });
  later.spawn('scheduler', (signal) => scheduler.run(signal));
  later.spawn('project-controller', (signal) => controller.run(signal));

  const backups = await startBackups({ ...base, config, isOwn: ports.store === undefined, stopper: lead });
  const lanes = new Lanes(base);
  stopper.spawn('lanes', (signal) => lanes.run(signal));
  const measure = async (): Promise<void> => {
    metrics.requestsWaiting.set(lanes.waiting);
    metrics.databaseBytes.set(await store.size());
    backups.measure();
    metrics.nodes.reset();
    nodes.items().forEach(({ status }) => metrics.nodes.inc({ state: status.state }));
    metrics.projects.reset();
    projects.items().forEach(({ status }) => metrics.projects.inc({ phase: status.phase }));
  };
  const app = createApp({
    ...base,
    registry,
    nodes: service,
    projects: createProjectService({ ...base, epoch: cluster.epoch }),
    held: createHeldService({ ...base, epoch: cluster.epoch }),
    rollouts: createRolloutService(base),
    moves: createMoveService({
      ...base,
      cordon: (node) => service.patch(node, { spec: { unschedulable: true } }),
      onEmpty: (node) => recorder.record(drained(node)),
    }),
    events: createEventService(base),
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
    measure,
    listServers: seat.listServers ?? listSoleServer(ports),
    onRequest: seat.onRequest,
    takesBeats: seat.role === 'leads',
    lanes,
  });
  const close = async (): Promise<void> => {
    await backups.close();
    await audit.close();
    eventSource?.[Symbol.dispose]();
    secretParts.secretUsers[Symbol.dispose]();
    auth.bearers[Symbol.dispose]();
    metrics.close();
  };
  return { app, registry, tokens: auth.tokens, ...reach, begin, close, save };
}

function warnOfExposure(config: ServerConfig, { log, tls }: { readonly log: Logger; readonly tls: TlsKeeper | undefined }): void {
  const { HOST: host } = config;
  if (!isLoopback(host) && !asksForCredentials(config)) {
    log.warn({ host }, 'everyone who reaches this address controls the fleet: AUTH is none');
  } else if (!isLoopback(host) && tls === undefined) {
    log.warn({ host }, 'tokens travel unencrypted: TLS is off, so keep this network private or put a proxy with TLS in front');
  }
}

if (import.meta.main) {
  const settings = serverSettings({ env: process.env, isRoot: process.getuid?.() === 0 });
  const { env } = process;
  const argv = process.argv.slice(2);
  if (argv[0] === BACKUP_COMMAND || argv[0] === RESTORE_COMMAND) {
    const [command, file, ...rest] = argv;
    const asksForWords = file === '--help' || file === '-h';
    const task = command === BACKUP_COMMAND ? createBackupTask(settings, file) : createRestoreTask(settings, file);
    await runTask(task, { argv: asksForWords ? ['--help'] : rest, env });
  } else if (argv[0] === TOKEN_COMMAND) {
    await runTokenCommand(settings, { argv: argv.slice(1), env });
  } else if (argv[0] === ROTATE_COMMAND) {
    const rest = argv.slice(1).filter((word) => word !== DROP_FLAG);
    await runTask(createRotateTask(settings, argv.includes(DROP_FLAG) ? 'drop' : 'refuse'), { argv: rest, env });
  } else if (argv[0] === TLS_COMMAND) {
    const [, action, ...rest] = argv.filter((word) => word !== DISTRUST_FLAG);
    const asksForWords = action === '--help' || action === '-h';
    const task = createTlsTask(settings, action, argv.includes(DISTRUST_FLAG) ? 'distrust' : 'vouch');
    await runTask(task, { argv: asksForWords ? ['--help'] : rest, env });
  } else {
    const program: Program<typeof settings> = {
      name: 'cara-server',
      summary:
        'cara-server is the control plane: API, scheduler and health of the fleet.\n' +
        `cara-server ${BACKUP_COMMAND} FILE and cara-server ${RESTORE_COMMAND} FILE save all of it and bring it back; ` +
        `cara-server ${ROTATE_COMMAND} encrypts the Secrets under a new key; cara-server ${TOKEN_COMMAND} create makes an admin token; ` +
        `cara-server ${TLS_COMMAND} show prints the fingerprint that agents are given.`,
      settings,
      start: async (config) => {
        const log = createLogger('cara-server', { level: config.LOG_LEVEL, format: config.LOG_FORMAT });
        log.info(redactConfig(settings, config), 'configuration');
        const tell = (text: string): void => void process.stderr.write(text);
        return await startServer({ config, clock: systemClock, random: systemRandom, log, tell });
      },
    };
    await runProgram(program, { argv, env });
  }
}
