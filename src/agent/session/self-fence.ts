/**
 * Self-fence: stops what is fenced before the server may give it to another node, and lets it run again only on the server's word.
 *
 * A fenced Project is `open` while two things hold: the last granted heartbeat is young enough (api/project/fence.ts), and the server has said
 * that the assignment stands, asked after a grant and with no lapse since. The server gives nothing away while what it granted lasts, so
 * both together mean that the Project is here and nowhere else. Times are those of the boot clock, which goes on while the machine is
 * suspended; a timer does not, so the loop looks at it every second.
 *
 * Owns     which fenced Projects are here and until when, also on disk: what this process leaves behind, for the next one and the guard.
 *          Every grant, and every container before it is started, is written down first.
 * Never    takes the assignment file's word: after a restart what runs may run on while the grant lasts, and nothing is started.
 *          After a reboot, or where the fence file cannot be read, nothing is granted.
 * Callers  compose/assignments.ts and link.ts (assignments, grants); reconcile/target-keeper.ts asks it, as a FenceGate.
 */
import { deriveFenceTerms, type FenceGrant } from '../../api/project/fence.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { BootClock } from '../../base/boot-clock.ts';
import { withDeadline, type Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { readFenceFile, writeFenceFile } from '../fence/fence-file.ts';
import type { FenceGuard } from '../fence/guard-process.ts';
import type { AssignmentSource } from '../reconcile/assignment.ts';
import { StepError } from '../reconcile/failure.ts';
import type { FenceGate, FenceState } from '../reconcile/fence-gate.ts';
import { FencedProject, type Question } from './fenced-project.ts';

const LOOK_MS = 1000; // part of the slack in api/project/fence.ts
const CONFIRM_MS = 5000; // for the server to answer
const GUARD_KEPT_MS = 60_000; // after the kill
const FOREIGN_KEPT_MS = 60_000; // what another control plane had here, after the guard has killed it

export interface SelfFenceOptions {
  readonly path: string;
  readonly disk: Disk;
  readonly engineHost: string;
  readonly nodeName: string;
  /** the control plane that this node has joined */
  readonly clusterId: () => string | undefined;
  /** reads a Project from the server; undefined: there is none */
  readonly find: (project: string, signal: AbortSignal) => Promise<ProjectObject | undefined>;
  readonly guard: FenceGuard;
  readonly bootClock: BootClock;
  /** whether the file may be of another machine that runs on the same kernel; default false */
  readonly isOtherMachine?: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SelfFence implements FenceGate {
  readonly #options: SelfFenceOptions;
  readonly #fenced = new Map<string, FencedProject>(); // uid -> Project
  readonly #listeners = new Set<(project: string) => void>();
  readonly #wakeups = { looks: new Wakeup(), guard: new Wakeup(), confirmations: new Wakeup() };
  /** of this process */
  #grant: FenceGrant | undefined;
  /** the file does not say what is so: nothing runs until it does */
  #isUnwritten = false;

  constructor(options: SelfFenceOptions) {
    this.#options = options;
    const before = readFenceFile(options.disk, options.path);
    const isSameBoot = before !== undefined && before.bootId === options.bootClock.bootId && options.isOtherMachine !== true;
    for (const entry of before?.entries ?? []) {
      // without their ids: on the same kernel the guard would find and kill the other machine's containers
      this.#fenced.set(entry.uid, new FencedProject(isSameBoot ? entry : { ...entry, grant: null, containers: [] }));
    }
    if (this.#fenced.size > 0) {
      this.#writeOrClose();
    }
  }

  /** Takes the complete set. What the file alone says takes nothing away, and gives no more time. */
  assign(projects: readonly ProjectObject[], source: AssignmentSource): void {
    const uids = new Set(projects.map(({ metadata }) => metadata.uid));
    for (const [uid, { entry }] of this.#fenced) {
      if (source === 'server' && entry.cluster === this.#options.clusterId() && !uids.has(uid)) {
        this.#fenced.delete(uid);
      }
    }
    const wasFenced = this.#fenced.size > 0;
    projects.forEach((project) => this.#take(project, source));
    this.#settle(wasFenced);
  }

  put(project: ProjectObject): void {
    const wasFenced = this.#fenced.size > 0;
    this.#take(project, 'server');
    this.#settle(wasFenced);
  }

  remove(uid: string): void {
    if (this.#fenced.delete(uid)) {
      this.#settle(true);
    }
  }

  /** To be told of each granted heartbeat. */
  granted(grant: FenceGrant): void {
    const { clusterId, bootClock } = this.#options;
    const renewed = [...this.#fenced.values()].filter(({ entry }) => entry.cluster === clusterId());
    const takeBack = renewed.map((fenced) => fenced.renew(grant, bootClock.bootMs()));
    try {
      if (renewed.length > 0) {
        this.#write();
      }
      this.#grant = grant;
    } catch (error) {
      // the guard goes by what stands on disk, and so must we
      takeBack.forEach((take) => take());
      this.#options.log.error({ err: error }, 'fence file cannot be written: fenced projects will be stopped at the time before');
    }
    this.#notify();
  }

  stateOf(project: ProjectObject): FenceState {
    if (deriveFenceTerms(project.spec) === undefined) {
      return 'open';
    }
    const fenced = this.#fenced.get(project.metadata.uid);
    return fenced === undefined ? 'closed' : this.#judge(fenced, project.status.assignment);
  }

  note(project: ProjectObject, containerIds: readonly string[]): void {
    const fenced = this.#fenced.get(project.metadata.uid);
    if (fenced !== undefined && !fenced.hasContainers(containerIds)) {
      fenced.addContainers(containerIds);
      this.#writeOrClose();
    }
  }

  async admit(project: ProjectObject, containerId: string, signal: AbortSignal): Promise<void> {
    const fenced = this.#fenced.get(project.metadata.uid);
    if (deriveFenceTerms(project.spec) === undefined) {
      return;
    }
    if (fenced !== undefined) {
      fenced.addContainers([containerId]);
      this.#write(); // before it is started: the guard must know of it
      await this.#options.guard.ensure(signal);
    }
    if (this.stateOf(project) !== 'open') {
      throw new StepError('Fenced', 'Cannot start it as the server has not said that it is still on this node: waiting for the server');
    }
  }

  subscribe(listener: (project: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#runLooks(signal), this.#runGuard(signal), this.#runConfirmations(signal)]);
  }

  /** Waits for nothing but the time: what lapses is told within LOOK_MS. */
  async #runLooks(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#isUnwritten) {
        this.#writeOrClose();
      }
      this.#tell();
      this.#forgetForeign();
      await this.#wakeups.looks.wait(this.#options.clock, this.#fenced.size === 0 ? Infinity : LOOK_MS, signal);
    }
  }

  async #runGuard(signal: AbortSignal): Promise<void> {
    const { guard, bootClock, clock, log } = this.#options;
    let isFailing = false;
    for (;;) {
      const nowMs = bootClock.bootMs();
      const isNeeded = this.#fenced.values().some(({ entry, killAtMs }) => entry.containers.length > 0 && nowMs < killAtMs + GUARD_KEPT_MS);
      if (isNeeded) {
        try {
          await guard.ensure(signal);
          isFailing = false;
        } catch (error) {
          signal.throwIfAborted();
          if (!isFailing) {
            log.error({ err: error }, 'fence guard does not run: nothing fenced is started, and this process alone stops what is');
          }
          isFailing = true;
        }
      }
      await this.#wakeups.guard.wait(clock, this.#fenced.size === 0 ? Infinity : LOOK_MS, signal);
    }
  }

  /** Asks for what is not confirmed: once after each grant, again where the server did not answer. */
  async #runConfirmations(signal: AbortSignal): Promise<void> {
    for (;;) {
      await Promise.all(this.#listUnconfirmed().map(async ([fenced, question]) => await this.#confirm(fenced, question, signal)));
      this.#tell();
      await this.#wakeups.confirmations.wait(this.#options.clock, this.#listUnconfirmed().length === 0 ? Infinity : LOOK_MS, signal);
    }
  }

  #take(project: ProjectObject, source: AssignmentSource): void {
    const { uid, name } = project.metadata;
    const terms = deriveFenceTerms(project.spec);
    const cluster = this.#options.clusterId();
    if (terms === undefined || cluster === undefined) {
      if (source === 'server') {
        this.#fenced.delete(uid);
      }
      return;
    }
    const grant = source === 'server' ? (this.#grant ?? null) : null;
    const fenced = this.#fenced.get(uid) ?? new FencedProject({ cluster, uid, project: name, ...terms, grant, containers: [] });
    fenced.assign(project, terms, source);
    this.#fenced.set(uid, fenced);
  }

  /** @param assignment default: the one it was assigned with last */
  #judge(fenced: FencedProject, assignment?: number): FenceState {
    const state = fenced.judge(this.#options.bootClock.bootMs(), assignment);
    return this.#isUnwritten ? 'closed' : state;
  }

  #tell(): void {
    for (const fenced of this.#fenced.values()) {
      const { entry, told } = fenced;
      const state = this.#judge(fenced);
      if (state !== told) {
        fenced.told = state;
        this.#options.log[state === 'closed' && told !== undefined ? 'warn' : 'info'](
          { project: entry.project, from: told, to: state },
          'fence of project changed',
        );
        this.#listeners.forEach((listener) => listener(entry.project));
      }
    }
  }

  #listUnconfirmed(): readonly (readonly [FencedProject, Question])[] {
    const { clusterId, bootClock } = this.#options;
    const grantedAtMs = this.#grant?.sentAtMs ?? -Infinity;
    return [...this.#fenced.values()].flatMap((fenced) => {
      const question = fenced.entry.cluster === clusterId() ? fenced.question(grantedAtMs, bootClock.bootMs()) : undefined;
      return question === undefined ? [] : [[fenced, question] as const];
    });
  }

  async #confirm(fenced: FencedProject, question: Question, signal: AbortSignal): Promise<void> {
    const { clock, bootClock, nodeName: node } = this.#options;
    let found: ProjectObject | undefined;
    using deadline = withDeadline(clock, CONFIRM_MS, signal);
    try {
      found = await this.#options.find(fenced.entry.project, deadline.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiError || deadline.signal.aborted) {
        return; // again at the next look
      }
      throw error;
    }
    fenced.answer(question, found, { node, nowMs: bootClock.bootMs() });
  }

  /** What another control plane had here is the guard's to kill in time; its entry goes when that is done. */
  #forgetForeign(): void {
    for (const [uid, { entry, killAtMs }] of this.#fenced) {
      const isForeign = this.#options.clusterId() !== undefined && entry.cluster !== this.#options.clusterId();
      if (isForeign && this.#options.bootClock.bootMs() > killAtMs + FOREIGN_KEPT_MS) {
        this.remove(uid);
      }
    }
  }

  /** @param wasFenced whether there may be something on disk */
  #settle(wasFenced: boolean): void {
    if (wasFenced || this.#fenced.size > 0) {
      this.#writeOrClose();
    }
    this.#notify();
  }

  #notify(): void {
    Object.values(this.#wakeups).forEach((wakeup) => wakeup.notify());
  }

  /** Where the file cannot tell that time has become shorter, or that there is a container, the guard would be too late or blind. */
  #writeOrClose(): void {
    try {
      this.#write();
      this.#isUnwritten = false;
    } catch (error) {
      if (!this.#isUnwritten) {
        this.#options.log.error({ err: error }, 'fence file cannot be written: fenced projects are stopped until it can');
      }
      this.#isUnwritten = true;
    }
  }

  #write(): void {
    const { path, disk, engineHost, bootClock } = this.#options;
    const entries = [...this.#fenced.values()].map(({ entry }) => entry);
    writeFenceFile(disk, path, { bootId: bootClock.bootId ?? '', engineHost, entries });
  }
}
