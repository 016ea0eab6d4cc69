/**
 * The agent's parts, put together: called once by main.ts, which owns their lifetime.
 *
 *   session (registrar, heartbeater) ── what monitors of the machine and its line know ──> server
 *   assignment-watcher ──> supervision (reconciler), assignment-file;  reconciler ──> status-reporter ──> server
 */
import { join } from 'node:path';
import { ApiError } from '../api/errors.ts';
import type { ProjectObject } from '../api/project.ts';
import { readBootClock, type BootClock } from '../base/boot-clock.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Stopper } from '../base/stopper.ts';
import { VERSION } from '../base/version.ts';
import { Wakeup } from '../base/wakeup.ts';
import { createCaraClient, type CaraClient } from '../client/cara-client.ts';
import { httpFetch } from '../client/http-fetch.ts';
import { createThroughputLink } from '../client/throughput-link.ts';
import { createTransport, type FetchFunction, type Transport } from '../client/transport.ts';
import { AssignmentFile } from './assignment-file.ts';
import type { AgentConfig } from './config.ts';
import type { Engine } from './docker/engine.ts';
import { gaugePulls } from './docker/pull-gauge.ts';
import { createGuardProcess, FENCE_FILE, type FenceGuard } from './fence/guard-process.ts';
import { createClockMeter } from './host/clock-meter.ts';
import { createEngineMonitor } from './host/engine-monitor.ts';
import { createHostProbe, type HostProbe } from './host/host-probe.ts';
import { createHostSampler } from './host/host-sampler.ts';
import { createNetworkMonitor, type FindAddress } from './host/network-monitor.ts';
import { createOverlayNetwork, defaultAgentHost } from './host/overlay-network.ts';
import { findRouteAddress } from './host/route-address.ts';
import { createThroughputMonitor, type ThroughputMonitor } from './host/throughput.ts';
import { startAgentServer, type AgentServer } from './http/agent-server.ts';
import { healthRoute } from './http/health.ts';
import type { Identity } from './identity.ts';
import { createImageKeeping, type ImageKeeping } from './images/image-keeping.ts';
import { createReconciler } from './reconcile/reconciler.ts';
import { createAssignmentWatcher, type AssignmentSink } from './session/assignment-watcher.ts';
import { createDroppedProjects, type DroppedProjects } from './session/dropped-projects.ts';
import { buildHeartbeat } from './session/heartbeat-body.ts';
import { createHeartbeater, heartbeatTimeLimitMs } from './session/heartbeater.ts';
import { createRegistrar } from './session/registrar.ts';
import { runSession, type StandingCell } from './session/session.ts';
import { SelfFence } from './session/self-fence.ts';
import { createSecretReader } from './session/secret-reader.ts';
import { createStatusReporter, type StatusReporter } from './session/status-reporter.ts';
import { createSupervision, type Supervision } from './session/supervision.ts';

export interface AgentPorts {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** without it, the one that DOCKER_HOST names; ended with the agent */
  readonly engine?: Engine;
  /** the network to the server */
  readonly fetch?: FetchFunction;
  readonly hostProbe?: HostProbe;
  readonly findAddress?: FindAddress;
  readonly bootClock?: BootClock;
  /** without it, a process of its own */
  readonly fenceGuard?: FenceGuard;
  /** how long something of ours stands unassigned before it is removed, in milliseconds; default 3 min */
  readonly orphanAfterMs?: number;
}

export interface Parts extends AgentPorts {
  readonly engine: Engine;
  readonly identity: Identity;
  readonly stopper: Stopper;
}

/** Listens, resumes what was assigned last, and spawns every loop. @throws {StartError} */
export async function startParts(ports: Parts): Promise<{ readonly server: AgentServer; readonly standing: StandingCell }> {
  const { config, stopper, identity } = ports;
  const standing: StandingCell = { current: 'joining' };
  const host = watchHost(ports);
  const parts = { ...ports, fetch: host.clockMeter.wrap(ports.fetch ?? httpFetch) };
  const server = await startAgentServer({
    host: config.AGENT_HOST ?? defaultAgentHost(await host.overlay.readAtStart(stopper.signal)),
    port: config.AGENT_PORT,
    routes: [
      healthRoute({
        nodeName: config.NODE_NAME,
        serverUrl: config.SERVER_URL,
        standing: () => standing.current,
        engine: () => host.engine.state(),
      }),
    ],
    onBug: (err, path) => parts.log.error({ err, path }, 'request failed'),
  });
  const client = connect(parts);
  const pulls = gaugePulls(ports.engine);
  const images = await createImageKeeping({
    engine: pulls.engine,
    dataDir: config.DATA_DIR,
    assigned: () => file.all(),
    isUnderPressure: host.isDiskLow,
    readFreeBytes: host.readFreeBytes,
    clock: ports.clock,
    random: ports.random,
    log: ports.log,
  });
  const { supervision, reporter, file, fence, dropped } = supervise({ ...parts, engine: pulls.engine, images }, client, standing);
  const throughput = config.THROUGHPUT_TEST === 'off' ? undefined : watchLine(parts, pulls.isPulling);
  await resume(identity, file, { supervision, fence });
  const watcher = createAssignmentWatcher({
    ...timed(parts, 'assignment-watcher'),
    client,
    nodeName: config.NODE_NAME,
    clusterId: () => supervision.clusterId(),
    sink: whileWelcome(standing, toSink({ supervision, fence, dropped }, reporter, file)),
  });
  runLink({ ...parts, client, host, throughput, standing, server, supervision, fence, relist: () => watcher.relist() });
  stopper.spawn('host-sampler', (signal) => host.sampler.run(signal));
  stopper.spawn('engine-monitor', (signal) => host.engine.run(signal));
  stopper.spawn('network-monitor', (signal) => host.network.run(signal));
  if (throughput !== undefined) {
    stopper.spawn('throughput', (signal) => throughput.run(signal));
  }
  stopper.spawn('self-fence', (signal) => fence.run(signal));
  stopper.spawn('dropped-projects', (signal) => dropped.run(signal));
  stopper.spawn('assignment-file', (signal) => file.run(signal));
  stopper.spawn('assignment-watcher', (signal) => watcher.run(signal));
  stopper.spawn('status-reporter', (signal) => reporter.run(signal));
  images.start(stopper);
  return { server, standing };
}

/** The parts that look at this machine. */
function watchHost(parts: Parts) {
  const { config } = parts;
  const probe = parts.hostProbe ?? createHostProbe();
  const firstSample = new Wakeup();
  const changed = new Wakeup(); // something that the server should hear of before the next beat is due
  const engine = createEngineMonitor({
    ...timed(parts, 'engine-monitor'),
    engine: parts.engine,
    dockerHost: config.DOCKER_HOST,
    onChange: () => {
      sampler.sampleSoon();
      changed.notify();
    },
  });
  const sampler = createHostSampler({
    ...timed(parts, 'host-sampler'),
    probe,
    reserved: config.SYSTEM_RESERVED,
    dataDir: () => engine.state().info?.dataDir,
    onChange: () => {
      firstSample.notify();
      changed.notify();
    },
  });
  const overlay = createOverlayNetwork({
    ...timed(parts, 'overlay-network'),
    socketPath: config.TAILSCALE_SOCKET,
    serverUrl: config.SERVER_URL,
  });
  const network = createNetworkMonitor({
    ...timed(parts, 'network-monitor'),
    serverUrl: config.SERVER_URL,
    nodeIp: config.NODE_IP,
    overlay,
    findAddress: parts.findAddress ?? findRouteAddress,
    onChange: () => changed.notify(),
  });
  const clockMeter = createClockMeter({ ...timed(parts, 'clock-meter'), onChange: () => changed.notify() });
  const isDiskLow = (): boolean =>
    sampler.latest()?.conditions.some(({ type, status }) => type === 'DiskPressure' && status === 'True') === true;
  const readFreeBytes = async (): Promise<number> => (await probe.measure(engine.state().info?.dataDir)).disk.freeBytes;
  return { engine, sampler, isDiskLow, readFreeBytes, overlay, network, clockMeter, firstSample, changed, info: probe.info() };
}

/** How fast the line to the server is. */
function watchLine(parts: Parts, isBusy: () => boolean): ThroughputMonitor {
  const { config } = parts;
  return createThroughputMonitor({
    ...timed(parts, 'throughput'),
    link: createThroughputLink(openTransport(parts)),
    serverUrl: config.SERVER_URL,
    path: join(config.DATA_DIR, 'throughput.json'),
    spreadMs: config.HEARTBEAT_INTERVAL,
    isBusy,
  });
}

/** What runs here, and what is said of it. */
function supervise(parts: Parts & { readonly images: ImageKeeping }, client: CaraClient, standing: StandingCell) {
  const { config, engine, stopper, images } = parts;
  const file = new AssignmentFile({
    ...timed(parts, 'assignment-file'),
    path: join(config.DATA_DIR, 'assignments.json'),
    nodeName: config.NODE_NAME,
  });
  const reporter = createStatusReporter({
    ...timed(parts, 'status-reporter'),
    client: {
      reportStatus: async (project, report, signal) => {
        if (standing.current === 'refused') {
          throw new ApiError('Unavailable', 'Cannot report on Projects while another machine holds the name of this node');
        }
        await client.reportStatus(project, report, signal);
      },
    },
    onStale: (project, uid, assignment) => {
      const current = file.find(project);
      if (current?.metadata.uid === uid && current.status.assignment > assignment) {
        return; // a newer binding to this node has been told already; its own report follows
      }
      clearAway(project, uid);
    },
  });
  const clearAway = (project: string, uid: string): void => {
    supervision.remove(project, uid);
    fence.remove(uid);
    file.delete(project, uid);
  };
  const find = (project: string, signal: AbortSignal): Promise<ProjectObject | undefined> => client.projects.find(project, signal);
  const dropped = createDroppedProjects({
    ...timed(parts, 'dropped-projects'),
    nodeName: config.NODE_NAME,
    find,
    onStale: (project, uid) => {
      if (file.find(project)?.metadata.uid !== uid) {
        clearAway(project, uid); // unless it has come back meanwhile
      }
    },
  });
  const fence = new SelfFence({
    ...timed(parts, 'self-fence'),
    path: join(config.DATA_DIR, FENCE_FILE),
    engineHost: config.DOCKER_HOST,
    nodeName: config.NODE_NAME,
    clusterId: () => supervision.clusterId(),
    find,
    guard: parts.fenceGuard ?? createGuardProcess({ dataDir: config.DATA_DIR, clock: parts.clock }),
    bootClock: parts.bootClock ?? readBootClock(),
  });
  const supervision: Supervision = createSupervision({
    log: parts.log.child({ component: 'supervision' }),
    spawn: (name, loop) => stopper.spawn(name, loop),
    createReconciler: (clusterId) =>
      createReconciler({
        clock: parts.clock,
        random: parts.random,
        log: parts.log, // its parts name themselves
        engine,
        clusterId,
        report: (report) => reporter.report(report),
        secrets: createSecretReader(client, config.NODE_NAME),
        images: images.puller,
        onContainers: (containers) => images.ledger.noteUse(containers),
        fence,
        allowedHostPaths: config.ALLOWED_HOST_PATHS ?? [],
        privileges: { isAllowed: config.ALLOW_PRIVILEGED, node: config.NODE_NAME },
        ...(parts.orphanAfterMs !== undefined && { orphanAfterMs: parts.orphanAfterMs }),
      }),
  });
  return { supervision, reporter, file, fence, dropped };
}

/** Those that keep assignments up; the fence is told first, as the reconciler asks it. */
interface Keepers {
  readonly supervision: Supervision;
  readonly fence: SelfFence;
}

/** Keeps up what was assigned when the agent last ran, before anyone has been asked. */
async function resume(identity: Identity, file: AssignmentFile, { supervision, fence }: Keepers): Promise<void> {
  const clusterId = identity.clusterId();
  if (clusterId === undefined) {
    return;
  }
  supervision.adopt(clusterId);
  const projects = await file.read(clusterId);
  if (projects !== undefined) {
    fence.assign(projects, 'file');
    supervision.assign(
      projects.map((project) => ({ project })),
      'file',
    );
  }
}

function toSink(
  { supervision, fence, dropped }: Keepers & { readonly dropped: DroppedProjects },
  reporter: StatusReporter,
  file: AssignmentFile,
): AssignmentSink {
  return {
    replaceAll: (clusterId: string, projects: readonly ProjectObject[]) => {
      fence.assign(projects, 'server');
      supervision.assign(
        projects.map((project) => ({ project })),
        'server',
      );
      const uids = new Set(projects.map(({ metadata }) => metadata.uid));
      dropped.ask(file.list().filter(({ metadata }) => !uids.has(metadata.uid)));
      file.replaceAll(clusterId, projects);
      projects.forEach((project) => reporter.compare(project));
    },
    put: (project) => {
      fence.put(project);
      supervision.upsert({ project });
      file.put(project);
      reporter.compare(project);
    },
    remove: (project, uid) => {
      reporter.forget(uid);
      supervision.remove(project, uid);
      fence.remove(uid);
      file.delete(project, uid);
    },
  };
}

/** While another machine holds the name, what is assigned to it is that one's; each registration is followed by a fresh list. */
function whileWelcome(standing: StandingCell, sink: AssignmentSink): AssignmentSink {
  const isWelcome = (): boolean => standing.current !== 'refused';
  return {
    replaceAll: (clusterId, projects) => (isWelcome() ? sink.replaceAll(clusterId, projects) : undefined),
    put: (project) => (isWelcome() ? sink.put(project) : undefined),
    remove: (project, uid) => (isWelcome() ? sink.remove(project, uid) : undefined),
  };
}

interface Link extends Parts {
  readonly client: CaraClient;
  readonly host: ReturnType<typeof watchHost>;
  /** undefined: not to be measured */
  readonly throughput: ThroughputMonitor | undefined;
  readonly standing: StandingCell;
  readonly server: AgentServer;
  readonly supervision: Supervision;
  readonly fence: SelfFence;
  readonly relist: () => void;
}

/** Registration and heartbeats. */
function runLink(parts: Link): void {
  const { config, identity, host, standing, server, stopper, clock, log } = parts;
  const { hostname, ...hostInfo } = host.info;
  const info = { ...hostInfo, agentVersion: VERSION };
  const heartbeater = createHeartbeater({
    ...timed(parts, 'heartbeater'),
    client: connect(parts, heartbeatTimeLimitMs(config.HEARTBEAT_INTERVAL)),
    nodeName: config.NODE_NAME,
    intervalMs: config.HEARTBEAT_INTERVAL,
    body: (answer) =>
      buildHeartbeat({
        engine: host.engine.state(),
        host: host.sampler.latest(),
        network: host.network.latest(),
        throughput: parts.throughput?.latest(),
        agentPort: server.port,
        info,
        identity: { id: identity.id, bootId: identity.bootId, ...(answer !== undefined && { answer }) },
        clock: host.clockMeter.condition(),
      }),
    onAccepted: (isReturn) => {
      registrar.confirm();
      standing.current = 'registered';
      parts.throughput?.serverAnswered();
      if (isReturn) {
        parts.relist();
      }
    },
    onDeleted: () => (standing.current = 'deleted'),
    onGranted: (grant) => parts.fence.granted(grant),
    ...(parts.bootClock !== undefined && { bootClock: parts.bootClock }),
    changed: host.changed,
  });
  const registrar = createRegistrar({
    ...timed(parts, 'registrar'),
    client: parts.client,
    nodeName: config.NODE_NAME,
    registration: () => ({ hostname, info, identity: { id: identity.id, bootId: identity.bootId } }),
    onRefused: () => (standing.current = 'refused'),
    hasJoined: () => identity.clusterId() !== undefined,
    onCluster: async (clusterId) => {
      await identity.rememberCluster(clusterId);
      parts.supervision.adopt(clusterId);
    },
  });
  const session = { registrar, heartbeater, onRegistered: parts.relist, standing, firstSample: host.firstSample, clock, log };
  stopper.spawn('session', (signal) => runSession(session, signal));
}

function connect(parts: AgentPorts, timeoutMs?: number): CaraClient {
  return createCaraClient(openTransport(parts, timeoutMs));
}

function openTransport({ config, clock, fetch }: AgentPorts, timeoutMs?: number): Transport {
  return createTransport({
    serverUrl: config.SERVER_URL,
    userAgent: `cara-agent/${VERSION}`,
    clock,
    ...(timeoutMs !== undefined && { timeoutMs }),
    fetch: fetch ?? httpFetch,
  });
}

/** What every part with a loop takes. */
function timed({ clock, random, log }: AgentPorts, component: string) {
  return { clock, random, log: log.child({ component }) };
}
