/**
 * Reconciler: keeps on this machine's engine what the server assigned to it, one loop a Project.
 *
 * Owns     which Project is assigned, removed or an orphan, and the look at everything now and then.
 * Never    acts before the first `assign`; clears anything away that only the file speaks against; touches what has not
 *          this cluster's labels.
 * Callers  compose/supervise.ts makes it, session/supervision.ts runs it and hands it assignments.
 * Source   balena-supervisor (observe, plan, step); Kubernetes' kubelet (a worker a pod, so that none waits for another).
 */
import { ApiError } from '../../api/errors.ts';
import { listSecretUses } from '../../api/project/secret-use.ts';
import { hasVolume } from '../../api/volume-rules.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Backoff } from '../../base/backoff.ts';
import { Stopper } from '../../base/stopper.ts';
import { Turn } from '../../base/turn.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { watchEngine } from '../docker/docker-events.ts';
import type { VolumeSummary } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { clusterFilter, LABEL } from '../docker/names.ts';
import { createHealthChecker, type HealthChecker } from '../health/health-checker.ts';
import { createImagePuller, type ImagePuller } from '../images/image-puller.ts';
import type { KeptLogs } from '../logs/kept-logs.ts';
import type { Assignment, AssignmentSource, ProjectReport, Reconciler, VolumeIdentity, VolumeRemoval } from './assignment.ts';
import { NO_FENCE, type FenceGate } from './fence-gate.ts';
import { readHostRoutes } from './host-routes.ts';
import type { ObservedProject } from './observe.ts';
import { OrphanTable } from './orphans.ts';
import { ProjectLoop } from './project-loop.ts';
import { ProjectLoops } from './project-loops.ts';
import { createRolloutMemory, type RolloutStore } from './desired/rollout.ts';
import type { PrivilegePolicy } from './desired/service-options.ts';
import { SecretCache, type SecretSource } from './secret-cache.ts';
import { DEFAULT_NETWORK_POOLS } from './subnet-pool.ts';
import { sweepEngine } from './sweep.ts';
import type { Order } from './target-keeper.ts';
import { removeMeant } from './volume-removal.ts';

const SWEEP_INTERVAL_MS = 30_000; // events get lost when the engine restarts; this look is the truth, they only shorten latency
const SWEEP_BACKOFF = { baseMs: 1000, capMs: 30_000 };

export interface ReconcilerOptions {
  readonly engine: Engine;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called when what is true of a Project changed, with the latest; must return at once and not throw. */
  readonly report: (report: ProjectReport) => void;
  /** Where the values of Secrets come from. */
  readonly secrets: SecretSource;
  /** How long something of ours stands unassigned before it is removed, in milliseconds; default 3 min. */
  readonly orphanAfterMs?: number;
  /** Asked before anything unassigned is removed; default: it may be. */
  readonly mayRemoveOrphans?: () => boolean;
  /** How images get onto the engine; default: a puller of its own. */
  readonly images?: ImagePuller;
  /** Called with the containers of a Project, each time they are looked at; must return at once. */
  readonly onContainers?: (containers: ObservedProject['containers']) => void;
  /** Called with all volumes of this cluster, each time they are looked at; must return at once. */
  readonly onVolumes?: (volumes: readonly VolumeSummary[]) => void;
  /** Which Projects may run; default all. */
  readonly fence?: FenceGate;
  /** Which version of each Project was good, and which was given up; default: in memory alone. */
  readonly rollouts?: RolloutStore;
  /** What the containers wrote that went; left out: nothing is kept. */
  readonly keptLogs?: Pick<KeptLogs, 'keep' | 'drop' | 'keepOnly'> | undefined;
  /** Folders below which HostPath volumes may lie; default none. */
  readonly allowedHostPaths?: readonly string[];
  /** Left out: nothing privileged is allowed. */
  readonly privileges?: PrivilegePolicy;
  /** CIDR blocks to take the Projects' subnets from. */
  readonly networkPools?: readonly string[];
  /** CIDR blocks that the machine routes somewhere; default from /proc/net/route. */
  readonly readRoutes?: () => Promise<readonly string[]>;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  return new EngineReconciler(options);
}

class EngineReconciler implements Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #log: Logger;
  readonly #loops = new ProjectLoops((name, order) => this.#createLoop(name, order));
  readonly #orphans: OrphanTable;
  readonly #sweepWakeup = new Wakeup();
  readonly #networkTurn = new Turn();
  readonly #secrets: SecretCache;
  readonly #images: ImagePuller;
  readonly #health: HealthChecker;
  readonly #rollouts: RolloutStore;
  #isAssigned = false;
  #isAuthoritative = false;
  #stopper: Stopper | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: 'reconciler' });
    this.#secrets = new SecretCache(options.secrets);
    this.#rollouts = options.rollouts ?? createRolloutMemory();
    this.#images = options.images ?? createImagePuller(options);
    this.#health = createHealthChecker({ ...options, onChange: (project) => this.#loops.find(project)?.wake() });
    this.#orphans = new OrphanTable(options.orphanAfterMs);
  }

  assign(assignments: readonly Assignment[], source: AssignmentSource): void {
    const isFirst = !this.#isAssigned;
    this.#isAssigned = true;
    this.#isAuthoritative ||= source === 'server';
    const names = new Set(assignments.map(({ project }) => project.metadata.name));
    for (const [name, loop] of this.#loops.all()) {
      if (!names.has(name) && loop.order.kind === 'assigned') {
        this.#drop(name);
      }
    }
    for (const { project } of assignments) {
      const loop = this.#setOrder(project.metadata.name, { kind: 'assigned', project });
      if (source === 'server') {
        loop.tellAgainUnless(project.status);
      }
    }
    this.#log.info({ projects: assignments.length, source }, 'projects assigned');
    if (isFirst && this.#stopper !== undefined) {
      this.#loops.begin(this.#stopper);
    }
    this.#sweepWakeup.notify();
  }

  upsert({ project }: Assignment): void {
    this.#setOrder(project.metadata.name, { kind: 'assigned', project });
  }

  remove(project: string, uid: string): void {
    const order = this.#loops.find(project)?.order;
    const currentUid = order?.kind === 'assigned' ? order.project.metadata.uid : order?.uid;
    if (currentUid === undefined || currentUid === uid) {
      this.#setOrder(project, { kind: 'removed', uid, project: order?.project });
    } // else a later Project has the name: its loop clears the earlier one away first
  }

  async removeVolume(meant: VolumeIdentity, signal: AbortSignal): Promise<VolumeRemoval> {
    if (!this.#isAuthoritative) {
      throw new ApiError('Unavailable', 'Cannot remove a volume before the server has told which Projects are here');
    }
    const { engine, clusterId: cluster } = this.#options;
    const isUsed = (): boolean => {
      const order = this.#loops.find(meant.project)?.order;
      return order?.kind === 'assigned' && hasVolume(order.project, meant.volume);
    };
    return await this.#loops.whileStill(meant.project, async () => {
      if (isUsed()) {
        return { isGone: false, refused: `Project ${JSON.stringify(meant.project)} on the node uses it` };
      }
      const removal = await removeMeant(engine, { meant, cluster }, signal);
      this.#sweepWakeup.notify();
      return removal;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { promise: crashed, reject } = Promise.withResolvers<never>();
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const stopper = new Stopper((name, error) => reject(new Error(`Cannot go on as loop "${name}" crashed`, { cause: error })));
    this.#stopper = stopper;
    const unsubscribe = this.#options.fence?.subscribe((name) => this.#loops.find(name)?.wake());
    try {
      if (!signal.aborted) {
        stopper.spawn('engine-events', async (inner) => await this.#followEvents(inner));
        stopper.spawn('health-checks', async (inner) => await this.#health.run(inner));
        stopper.spawn('sweep', async (inner) => await this.#sweepAlways(inner));
        if (this.#isAssigned) {
          this.#loops.begin(stopper);
        }
        await Promise.race([aborted, crashed]);
      }
    } finally {
      unsubscribe?.();
      this.#stopper = undefined;
      this.#loops.end();
      await stopper.stop();
    }
  }

  #setOrder(name: string, order: Order): ProjectLoop {
    this.#secrets.setUses(name, order.kind === 'assigned' ? listSecretUses(order.project.spec).map((use) => use.name) : []);
    return this.#loops.setOrder(name, order);
  }

  #createLoop(name: string, order: Order): ProjectLoop {
    const { report, readRoutes = readHostRoutes, networkPools = DEFAULT_NETWORK_POOLS, allowedHostPaths = [] } = this.#options;
    const { fence = NO_FENCE } = this.#options;
    return new ProjectLoop(order, {
      ...this.#options,
      name,
      allowedHostPaths,
      networkPools,
      readRoutes,
      report,
      fence,
      log: this.#log.child({ project: name }),
      networkTurn: this.#networkTurn,
      secrets: this.#secrets,
      images: this.#images,
      health: this.#health,
      rollouts: this.#rollouts,
      isAuthoritative: () => this.#isAuthoritative,
      onVolumesChanged: () => this.#sweepWakeup.notify(),
      onGone: () => this.#forget(name),
    });
  }

  /** Nothing of a Project is left but what its containers wrote last. */
  #forget(name: string): void {
    this.#loops.forget(name);
    this.#stopper?.spawn(`kept logs ${name}`, async () => await this.#options.keptLogs?.drop(name));
  }

  /** Lets go of a Project without touching what runs of it: it becomes an orphan. */
  #drop(name: string): void {
    this.#loops.drop(name);
    this.#secrets.setUses(name, []);
  }

  async #followEvents(signal: AbortSignal): Promise<void> {
    const { engine, clusterId, clock, random } = this.#options;
    await watchEngine(
      engine,
      {
        clock,
        random,
        log: this.#log,
        labels: clusterFilter(clusterId),
        onConnected: () => {
          for (const [, loop] of this.#loops.all()) {
            loop.noteEngineAway(); // it may have stopped and started before anyone looked
            loop.wake();
          }
          this.#sweepWakeup.notify();
        },
        onEvent: (event) => this.#loops.find(event.attributes[LABEL.project] ?? '')?.noteEvent(event),
        onDisconnected: () => this.#loops.all().forEach(([, loop]) => loop.noteEngineAway()),
      },
      signal,
    );
  }

  async #sweepAlways(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const backoff = new Backoff(SWEEP_BACKOFF, random);
    while (!signal.aborted) {
      let waitMs = SWEEP_INTERVAL_MS;
      try {
        await this.#sweep(signal);
        backoff.reset();
        const dueMs = (this.#orphans.nextDueMs ?? Infinity) - clock.monotonicMs();
        waitMs = Math.max(0, Math.min(SWEEP_INTERVAL_MS, dueMs));
      } catch (error) {
        signal.throwIfAborted();
        if (backoff.failures === 0) {
          this.#log.warn({ err: error }, 'engine cannot be swept');
        }
        waitMs = backoff.nextMs();
      }
      await this.#sweepWakeup.wait(clock, waitMs, signal);
    }
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    if (!this.#isAssigned) {
      return;
    }
    const { engine, clusterId, clock } = this.#options;
    const { fingerprints, owners, volumes } = await sweepEngine(engine, clusterId, signal);
    this.#options.onVolumes?.(volumes);
    for (const [name, loop] of this.#loops.all()) {
      if (loop.fingerprint !== (fingerprints.get(name) ?? '')) {
        loop.wake();
      }
    }
    if (this.#isAuthoritative && (this.#options.mayRemoveOrphans?.() ?? true)) {
      await this.#options.keptLogs?.keepOnly(this.#loops.names().union(new Set(fingerprints.keys())));
      const unassigned = owners.filter(({ project }) => this.#loops.find(project) === undefined);
      for (const { project, uid } of this.#orphans.update(unassigned, clock.monotonicMs())) {
        if (this.#loops.find(project) === undefined) {
          this.#log.info({ project, uid }, 'orphan is being removed');
          this.#setOrder(project, { kind: 'removed', uid, project: undefined });
        }
      }
    }
  }
}
