/** What keeps assignments up and tells of them, put together. Callers: ../composition.ts; assignments.ts leads there. */
import { join } from 'node:path';
import { hasReason } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { readBootClock } from '../../base/boot-clock.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { AssignmentFile } from '../assignment-file.ts';
import { createGuardProcess, FENCE_FILE } from '../fence/guard-process.ts';
import type { ImageKeeping } from '../images/image-keeping.ts';
import { createReconciler } from '../reconcile/reconciler.ts';
import { createDroppedProjects } from '../session/dropped-projects.ts';
import { HeldKeeper } from '../session/held-keeper.ts';
import { createSecretReader } from '../session/secret-reader.ts';
import { ALONE_INTERVALS, MachineTrial } from '../session/machine-trial.ts';
import { SelfFence } from '../session/self-fence.ts';
import type { StandingCell } from '../session/standing.ts';
import { createStatusReporter } from '../session/status-reporter.ts';
import { createSupervision, type Supervision } from '../session/supervision.ts';
import { createVolumeDeleter } from '../volumes/volume-deleter.ts';
import { createVolumeReporter } from '../volumes/volume-reporter.ts';
import { createOwnWord } from './own-word.ts';
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
  const word = createOwnWord(client, {
    isRefused: () => standing.current === 'refused',
    isHeld: () => trial.state === 'held',
    epoch: () => held.epoch,
  });
  const reporter = createStatusReporter({
    ...timed(parts, 'status-reporter'),
    client: word,
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
    client: word.held,
    nodeName: config.NODE_NAME,
    relist,
    report: (report) => reporter.report(report),
  });
  const volumeReporter = createVolumeReporter({
    ...timed(parts, 'volume-reporter'),
    client: word.volumes,
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

function undefinedWhenNotAssigned(error: unknown): undefined {
  if (!hasReason(error, 'NotAssigned')) {
    throw error;
  }
}
