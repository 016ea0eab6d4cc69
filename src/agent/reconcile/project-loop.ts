/**
 * Project loop: brings one Project to what is asked for and keeps it there: observe, plan, report, take the next steps, again.
 *
 * Owns     what is remembered of the Project between two looks: back-off, tracks of its containers, steps under way. All of it
 *          may be lost: a new loop finds its place from what the engine holds.
 * Never    acts on a target that changed while the engine was looked at; delays another Project.
 * Callers  reconciler.ts.
 * Source   Kubernetes' controllers: level-triggered, one item at a time.
 */
import { isDeepStrictEqual } from 'node:util';
import { deriveFenceTerms } from '../../api/project/fence.ts';
import { Backoff } from '../../base/backoff.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { EngineEvent, ImageDetail } from '../docker/docker-types.ts';
import { hasEngineReason } from '../docker/engine-error.ts';
import type { HealthChecker } from '../health/health-checker.ts';
import type { KeptLogs } from '../logs/kept-logs.ts';
import type { ProjectReport } from './assignment.ts';
import { deriveDesired } from './desired.ts';
import { createEffects, type EffectsOptions } from './effects.ts';
import type { FenceGate } from './fence-gate.ts';
import { observeProject, type ObservedProject } from './observe.ts';
import { planProject, type Plan, type PlanInput, type Target } from './plan.ts';
import { ProjectTeller } from './project-teller.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { RolloutKeeper } from './rollout-keeper.ts';
import { partsOf, type RolloutStore } from './desired/rollout.ts';
import { StepRunner } from './step-runner.ts';
import { TargetKeeper, type Order } from './target-keeper.ts';
import type { PrivilegePolicy } from './desired/service-options.ts';
import { TrackKeeper } from './track-keeper.ts';
import { reportTrouble } from './trouble.ts';
import { restartsOf, wantedImages } from './wanted.ts';

const OBSERVE_BACKOFF = { baseMs: 500, capMs: 15_000 }; // the engine's return wakes the loop anyway
const AWAY = ['EngineUnreachable', 'Timeout', 'EngineFault'] as const;
const TOLD_FAILURES = 3; // in a row, before the server is told: what passes is not worth a word
const PROMPT_MS = 1000; // of an engine's answer to a ping, which takes it a millisecond

interface ProjectLoopOptions extends Omit<EffectsOptions, 'admit' | 'keepLog'> {
  readonly name: string;
  readonly clusterId: string;
  readonly allowedHostPaths: readonly string[];
  readonly privileges?: PrivilegePolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly report: (report: ProjectReport) => void;
  readonly fence: FenceGate;
  /** One for the whole agent. */
  readonly health: Pick<HealthChecker, 'look' | 'drop'>;
  readonly isAuthoritative: () => boolean;
  /** Which version was good, and which was given up. */
  readonly rollouts: RolloutStore;
  /** What the containers wrote that went; undefined: nothing is kept. */
  readonly keptLogs?: Pick<KeptLogs, 'keep'> | undefined;
  /** Called with what the engine holds of the Project, after each look. */
  readonly onContainers?: ((containers: ObservedProject['containers']) => void) | undefined;
  /** Called once when a removed Project has left nothing behind; the loop ends then. */
  readonly onGone: () => void;
}

export class ProjectLoop {
  readonly #options: ProjectLoopOptions;
  readonly #wakeup = new Wakeup();
  readonly #backoff: RestartBackoff;
  readonly #observeBackoff: Backoff;
  readonly #runner: StepRunner;
  readonly #rollout: RolloutKeeper;
  readonly #targets: TargetKeeper;
  /** Ids of containers that ran until the fence stopped them. */
  readonly #interrupted = new Set<string>();
  readonly #keeper = new TrackKeeper();
  #observed: ObservedProject | undefined;
  readonly #teller: ProjectTeller;

  constructor(order: Order, options: ProjectLoopOptions) {
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
    this.#observeBackoff = new Backoff(OBSERVE_BACKOFF, options.random);
    const { rollouts, log, fence } = options;
    this.#rollout = new RolloutKeeper({ rollouts, log, derive: (project) => deriveDesired(project, options) });
    this.#targets = new TargetKeeper(order, { context: options, fence, rollout: this.#rollout });
    const admit = async (id: string, signal: AbortSignal): Promise<void> => await this.#targets.admit(id, signal);
    const onRollBack: EffectsOptions['onRollBack'] = (step, lines) => {
      const { order: current, latest } = this.#targets;
      if (current.project !== undefined) {
        this.#rollout.giveUp(current.project, latest, { step, lines });
        this.#lookAgain();
      }
    };
    const { clock, engine } = options;
    this.#teller = new ProjectTeller(options);
    const keepLog = async (service: string, id: string, signal: AbortSignal): Promise<void> => await this.#keepLog(service, id, signal);
    const effects = createEffects({ ...options, admit, onRollBack, keepLog }, (image, progress) => this.#teller.notePull(image, progress));
    this.#runner = new StepRunner({ effects, engine, backoff: this.#backoff, clock, log, onEnd: () => this.#wakeup.notify() });
  }

  get order(): Order {
    return this.#targets.order;
  }

  /** What the engine's lists looked like at the last look; undefined before the first, or where lists do not tell all. */
  get fingerprint(): string | undefined {
    const hasHealthChecks = this.#observed?.containers.some(({ state }) => state.health !== undefined) ?? false;
    return hasHealthChecks ? undefined : this.#observed?.fingerprint; // health does not show in lists
  }

  /** Replaces what is asked for. */
  setOrder(order: Order): void {
    this.#settleBefore(order);
    this.#targets.setOrder(order);
    this.#wakeup.notify();
  }

  /** Look again. */
  wake(): void {
    this.#wakeup.notify();
  }

  /** Something happened to a container of the Project: look again. */
  noteEvent(event: EngineEvent): void {
    this.#keeper.noteEvent(event);
    this.#wakeup.notify();
  }

  /** The engine's events broke off: the engine may have stopped, and its containers with it. */
  noteEngineAway(): void {
    this.#keeper.noteEngineAway();
  }

  /** Reports anew where the server has another phase, or one for another spec, than was told last: a report was lost. */
  tellAgainUnless({ phase, observedGeneration }: { readonly phase: string; readonly observedGeneration: number }): void {
    const { latest } = this.#teller;
    if (latest?.phase !== phase || latest.observedGeneration !== observedGeneration) {
      this.#teller.forget();
      this.#wakeup.notify();
    }
  }

  /** Runs until aborted, or until a removed Project has left nothing behind. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const waitMs = await this.#passSafely(signal);
        if (waitMs === 'gone') {
          return;
        }
        await this.#wakeup.wait(this.#options.clock, waitMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) {
        throw error;
      }
    } finally {
      this.#options.health.drop(this.#options.name);
      await this.#runner.stop();
    }
  }

  /** The error boundary: whatever goes wrong in a pass, the next one begins from what the engine holds. */
  async #passSafely(signal: AbortSignal): Promise<number | 'gone'> {
    try {
      const waitMs = await this.#pass(signal);
      if (this.#observeBackoff.failures > 0) {
        this.#options.log.info({ failures: this.#observeBackoff.failures }, 'project reconciled again');
        this.#observeBackoff.reset();
      }
      return waitMs;
    } catch (error) {
      signal.throwIfAborted();
      if (hasEngineReason(error, ...AWAY)) {
        this.#keeper.noteEngineAway();
      }
      if (this.#observeBackoff.failures === 0) {
        const isEngineAway = hasEngineReason(error, ...AWAY);
        this.#options.log[isEngineAway ? 'warn' : 'error']({ err: error }, 'project cannot be reconciled');
      }
      const isHeld = this.#observeBackoff.failures >= TOLD_FAILURES && this.#teller.latest === undefined;
      const report = isHeld ? reportTrouble(this.order.project, error) : undefined;
      if (report !== undefined) {
        this.#teller.tell(report, new Set());
      }
      return this.#observeBackoff.nextMs();
    }
  }

  /** One look, one plan. @returns ms until the next, unless something wakes it */
  async #pass(signal: AbortSignal): Promise<number | 'gone'> {
    const { clock, name, log } = this.#options;
    const target = this.#targets.derive();
    const busy = this.#runner.busy; // what ends during the look may or may not show in it
    const observed = await this.#observe(target, signal);
    if (target !== this.#targets.latest) {
      return 0;
    }
    if (this.#keeper.hasNewEnd(observed.containers) && !(await this.#isEngineThere(signal))) {
      return 0; // what ended with the engine did not end by itself
    }
    const nowMs = clock.monotonicMs();
    this.#takeIn(observed, target, nowMs);
    const plan = this.#plan({ target, observed, busy, nowMs });
    const { project } = this.order;
    if (plan.isGood && project !== undefined && this.#rollout.noteGood(project, target, observed)) {
      this.#lookAgain();
    }
    this.#backoff.keepOnly(plan.wanted);
    this.#teller.tell(plan.report, plan.wanted);
    this.#take(plan, target);
    if (plan.isDone && target.kind === 'remove') {
      log.info({ project: name, uid: target.uid }, 'project removed');
      this.#options.onGone();
      return 'gone';
    }
    return plan.wakeAtMs - nowMs;
  }

  /** Remembers what a look found that later looks are held against, and whoever else has to know is told. */
  #takeIn(observed: ObservedProject, target: Target, nowMs: number): void {
    const { project } = this.order;
    this.#observed = observed;
    this.#targets.noteContainers(observed);
    this.#options.onContainers?.(observed.containers);
    this.#keeper.look(observed.containers, {
      nowMs,
      now: nowRfc3339(this.#options.clock),
      restarter: project !== undefined && deriveFenceTerms(project.spec) !== undefined ? 'agent' : 'engine',
      restartOf: target.kind === 'run' ? restartsOf(target.desired) : undefined,
      reported: project?.status.services ?? [],
    });
  }

  #plan(look: Pick<PlanInput, 'target' | 'observed' | 'busy' | 'nowMs'>): Plan {
    const plan = planProject({
      ...look,
      tracks: this.#keeper.tracks,
      lost: this.#keeper.lost,
      secrets: this.#options.secrets.values,
      backoff: this.#backoff.entries,
      isAuthoritative: this.#options.isAuthoritative(),
      interrupted: this.#interrupted,
      quietSinceMs: this.#rollout.quietSinceMs,
    });
    this.#rollout.noteProgress(plan.report, look.nowMs);
    return plan;
  }

  /** Begins the steps of a plan, and ends pulls that it has no use for. */
  #take({ steps, wanted }: Plan, target: Target): void {
    this.#runner.abortUnwantedPulls(wanted);
    for (const step of steps) {
      if (target.kind === 'fenced' && step.kind === 'stopContainer') {
        this.#interrupted.add(step.containerId);
      }
      this.#keeper.noteStep(step);
      this.#runner.start(step);
    }
  }

  /**
   * Whether the engine takes new connections. One that shuts down stops its containers while it still answers on the connections that
   * it has; and where its socket is kept open for it, the next engine answers, after a while.
   */
  async #isEngineThere(signal: AbortSignal): Promise<boolean> {
    const { clock, engine } = this.#options;
    const startedMs = clock.monotonicMs();
    await engine.ping(signal);
    const isPrompt = clock.monotonicMs() - startedMs < PROMPT_MS;
    if (!isPrompt) {
      this.#keeper.noteEngineAway();
    }
    return isPrompt;
  }

  /** What is up when the next version comes was good, however shortly it was. */
  #settleBefore(next: Order): void {
    const { project } = this.order;
    const isOther = project !== undefined && next.project !== undefined && !isDeepStrictEqual(partsOf(project), partsOf(next.project));
    if (isOther && this.#teller.latest?.phase === 'Running' && this.#observed !== undefined) {
      this.#rollout.noteGood(project, this.#targets.latest, this.#observed);
    }
  }

  /** What is to run is found anew when another version is the good one, or one was given up. */
  #lookAgain(): void {
    this.#targets.forget();
    this.#wakeup.notify();
  }

  /** Of what is replaced, not of what goes with its Project. */
  async #keepLog(service: string, containerId: string, signal: AbortSignal): Promise<void> {
    const { kind } = this.#targets.derive();
    if (kind !== 'remove' && kind !== 'terminate') {
      await this.#options.keptLogs?.keep({ project: this.#options.name, service }, containerId, signal);
    }
  }

  async #observe(target: Target, signal: AbortSignal): Promise<ObservedProject> {
    const observed = await observeProject(
      this.#options.engine,
      {
        cluster: this.#options.clusterId,
        project: this.#options.name,
        imagesByContainer: target.kind === 'run' ? wantedImages(target.desired) : new Map(),
        knownImages: this.#observed?.images ?? new Map<string, ImageDetail>(),
      },
      signal,
    );
    const { health, name } = this.#options;
    return { ...observed, containers: health.look(name, observed.containers, (container) => this.#wasHealthy(container)) };
  }

  /** Whether the server, or the file, knows this run of the container as ready, from before the agent was restarted. */
  #wasHealthy({ id, state }: ObservedProject['containers'][number]): boolean {
    const services = this.order.project?.status.services ?? [];
    return services.some(({ containerId, startedAt, ready }) => ready && containerId === id && startedAt === state.startedAt);
  }
}
