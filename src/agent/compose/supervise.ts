/** What keeps assignments up and tells of them, put together. Callers: ../composition.ts. */
import { join } from 'node:path';
import { ApiError, hasReason } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { readBootClock } from '../../base/boot-clock.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { AssignmentFile } from '../assignment-file.ts';
import { createGuardProcess, FENCE_FILE } from '../fence/guard-process.ts';
import type { Identity } from '../identity.ts';
import type { ImageKeeping } from '../images/image-keeping.ts';
import { createReconciler } from '../reconcile/reconciler.ts';
import type { AssignmentSink } from '../session/assignment-watcher.ts';
import { createDroppedProjects, type DroppedProjects } from '../session/dropped-projects.ts';
import { HeldKeeper } from '../session/held-keeper.ts';
import { createSecretReader } from '../session/secret-reader.ts';
import { ALONE_INTERVALS, MachineTrial } from '../session/machine-trial.ts';
import { SelfFence } from '../session/self-fence.ts';
import type { StandingCell } from '../session/session.ts';
import { createStatusReporter, type StatusReporter } from '../session/status-reporter.ts';
import { createSupervision, type Supervision } from '../session/supervision.ts';
import { createVolumeDeleter } from '../volumes/volume-deleter.ts';
import { createVolumeReporter } from '../volumes/volume-reporter.ts';
import { timed, type Parts } from './ports.ts';

interface ServerLinks {
  readonly client: CaraClient;
  readonly standing: StandingCell;
  /** beats ahead of time */
  readonly beatSoon: () => void;
  /** lists the assignments anew */
  readonly relist: () => void;
}

/** What runs here, and what is said of it. */
export function supervise(parts: Parts & { readonly images: ImageKeeping }, { client, standing, beatSoon, relist }: ServerLinks) {
  const { config, engine, stopper, images } = parts;
  const file = new AssignmentFile({
    ...timed(parts, 'assignment-file'),
    path: join(config.DATA_DIR, 'assignments.json'),
    disk: parts.disk,
    nodeName: config.NODE_NAME,
  });
  /** @throws {ApiError} when what is so here is not what is so on the node */
  const assertOwnName = (what: string): void => {
    if (standing.current === 'refused') {
      throw new ApiError('Unavailable', `Cannot report on ${what} while another machine holds the name of this node`);
    }
    if (trial.state === 'held') {
      const message = `Cannot report on ${what} before the server has made sure that no other machine of this identity is up`;
      throw new ApiError('Unavailable', message, { retryAfterMs: 1000 });
    }
  };
  const reporter = createStatusReporter({
    ...timed(parts, 'status-reporter'),
    client: {
      reportStatus: async (project, report, signal) => {
        assertOwnName('Projects');
        await client.reportStatus(project, { ...report, epoch: held.epoch }, signal);
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
    disk: parts.disk,
    engineHost: config.DOCKER_HOST,
    nodeName: config.NODE_NAME,
    clusterId: () => supervision.clusterId(),
    find: (project, signal) => find(project, signal).catch(undefinedWhenNotAssigned),
    guard: parts.fenceGuard ?? createGuardProcess({ dataDir: config.DATA_DIR, clock: parts.clock }),
    bootClock: parts.bootClock ?? readBootClock(),
    isOtherMachine: parts.identity.isUnproven(),
  });
  const trial = new MachineTrial({
    ...timed(parts, 'machine-trial'),
    identity: parts.identity,
    inner: fence,
    projects: () => file.list().map(({ metadata }) => metadata.name),
    aloneAfterMs: ALONE_INTERVALS * config.HEARTBEAT_INTERVAL,
    onDue: beatSoon,
  });
  const held = new HeldKeeper({
    ...timed(parts, 'held-projects'),
    file,
    client: {
      report: async (node, report, signal) => {
        assertOwnName('held Projects');
        await client.held.report(node, report, signal);
      },
    },
    nodeName: config.NODE_NAME,
    relist,
    report: (report) => reporter.report(report),
  });
  const volumeReporter = createVolumeReporter({
    ...timed(parts, 'volume-reporter'),
    client: {
      report: async (node, report, signal) => {
        assertOwnName('volumes');
        await client.volumes.report(node, report, signal);
      },
    },
    nodeName: config.NODE_NAME,
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
        report: (report) => held.passReport(report),
        mayRemoveOrphans: () => held.mayRemoveOrphans(),
        secrets: createSecretReader(client, config.NODE_NAME),
        images: images.puller,
        onContainers: (containers) => images.ledger.noteUse(containers),
        onVolumes: (volumes) => volumeReporter.note(volumes),
        fence: trial,
        rollouts: file.rollouts,
        keptLogs: parts.keptLogs,
        allowedHostPaths: config.ALLOWED_HOST_PATHS ?? [],
        privileges: { isAllowed: config.ALLOW_PRIVILEGED, node: config.NODE_NAME },
        ...(parts.readRoutes !== undefined && { readRoutes: parts.readRoutes }),
        ...(parts.orphanAfterMs !== undefined && { orphanAfterMs: parts.orphanAfterMs }),
      }),
  });
  const volumeDeleter = createVolumeDeleter({
    ...timed(parts, 'volume-deleter'),
    client: client.volumes,
    nodeName: config.NODE_NAME,
    remover: supervision,
    isWelcome: () => standing.current !== 'refused',
    isHeld: () => trial.state === 'held',
  });
  return { supervision, reporter, file, fence, trial, held, dropped, volumeReporter, volumeDeleter };
}

/** Those that keep assignments up; the fence is told first, as the reconciler asks it. */
interface Keepers {
  readonly supervision: Supervision;
  readonly fence: SelfFence;
}

/** Keeps up what was assigned when the agent last ran, before anyone has been asked. */
export async function resume(identity: Identity, file: AssignmentFile, { supervision, fence }: Keepers): Promise<void> {
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

export function toSink(
  { supervision, fence, held, dropped }: Keepers & { readonly held: HeldKeeper; readonly dropped: DroppedProjects },
  reporter: StatusReporter,
  file: AssignmentFile,
): AssignmentSink {
  return {
    replaceAll: (clusterId, listed, epoch) => {
      const projects = held.takeList(clusterId, listed, epoch);
      fence.assign(projects, 'server');
      supervision.assign(
        projects.map((project) => ({ project })),
        'server',
      );
      const uids = new Set(projects.map(({ metadata }) => metadata.uid));
      dropped.ask(file.list().filter(({ metadata }) => !uids.has(metadata.uid)));
      file.replaceAll(clusterId, projects);
      projects.filter(({ metadata }) => !held.isHeld(metadata.name)).forEach((project) => reporter.compare(project));
    },
    put: (project) => {
      if (!held.takes(project)) {
        return;
      }
      fence.put(project);
      supervision.upsert({ project });
      file.put(project);
      reporter.compare(project);
    },
    remove: (project, uid) => {
      if (!held.takesRemoval(project, uid)) {
        return;
      }
      reporter.forget(uid);
      supervision.remove(project, uid);
      fence.remove(uid);
      file.delete(project, uid);
    },
  };
}

/** While another machine holds the name, what is assigned to it is that one's; each registration is followed by a fresh list. */
export function whileWelcome(standing: StandingCell, sink: AssignmentSink): AssignmentSink {
  const isWelcome = (): boolean => standing.current !== 'refused';
  return {
    replaceAll: (clusterId, projects, epoch) => (isWelcome() ? sink.replaceAll(clusterId, projects, epoch) : undefined),
    put: (project) => (isWelcome() ? sink.put(project) : undefined),
    remove: (project, uid) => (isWelcome() ? sink.remove(project, uid) : undefined),
  };
}

function undefinedWhenNotAssigned(error: unknown): undefined {
  if (!hasReason(error, 'NotAssigned')) {
    throw error;
  }
}
