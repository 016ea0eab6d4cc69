/**
 * Machine trial: an agent whose data folder was last used on another machine (before a boot, or by the one that this is a copy of) starts
 * nothing until the server has made sure that the other is not up.
 *
 *   held         what runs runs on, nothing is started, nothing is reported
 *   provisional  the other has not been heard for long enough, or nobody can be asked: starts as usual, and notes what
 *   refused      the other is up: what was started meanwhile is taken back, and what was found running is left alone
 *   over         nobody else may be this machine
 *
 * Owns     that state, and the ids of containers that were started while it was not over. In memory: a process that ends in its midst
 *          leaves the next one on trial, which adopts what runs.
 * Never    keeps a machine from its work for ever because the control plane is away: after ALONE_INTERVALS it acts alone. What is fenced
 *          waits for a grant in any case (self-fence.ts).
 * Callers  compose/link.ts (what the server says); reconcile/target-keeper.ts asks it, as a FenceGate, in front of the self-fence.
 */
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Identity } from '../identity.ts';
import { StepError } from '../reconcile/failure.ts';
import type { FenceGate, FenceState } from '../reconcile/fence-gate.ts';

/** Heartbeat intervals without a word from the server, after which a machine on trial does its work all the same. */
export const ALONE_INTERVALS = 3;

const PROVE_AGAIN_MS = 30_000;

export type TrialState = 'over' | 'held' | 'provisional' | 'refused';

export interface MachineTrialOptions {
  readonly identity: Pick<Identity, 'isUnproven' | 'prove'>;
  /** asked once nothing speaks against it here */
  readonly inner: FenceGate;
  /** names of the Projects that are here */
  readonly projects: () => readonly string[];
  /** how long without a word from the server until it acts alone, in milliseconds */
  readonly aloneAfterMs: number;
  /** called when the server is to be asked again before the next heartbeat is due */
  readonly onDue: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export class MachineTrial implements FenceGate {
  readonly #options: MachineTrialOptions;
  readonly #listeners = new Set<(project: string) => void>();
  readonly #wakeup = new Wakeup();
  readonly #started = new Set<string>();
  #state: TrialState;
  /** monotonic ms of the last word from the server, or of the start */
  #wordAtMs: number;
  /** monotonic ms at which the server will say more; undefined: it has been asked */
  #dueAtMs: number | undefined;

  constructor(options: MachineTrialOptions) {
    this.#options = options;
    this.#wordAtMs = options.clock.monotonicMs();
    this.#state = options.identity.isUnproven() ? 'held' : 'over';
    if (this.#state === 'held') {
      options.log.info('machine was booted since the agent ran, or is a copy: starts nothing until the server has looked for another');
    }
  }

  get state(): TrialState {
    return this.#state;
  }

  /** To be told of each accepted heartbeat. @param holdMs see HOLD_HEADER */
  heard(holdMs: number | undefined): void {
    if (this.#state === 'over') {
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    this.#wordAtMs = nowMs;
    this.#dueAtMs = holdMs === undefined || holdMs === 0 ? undefined : nowMs + holdMs;
    this.#enter(holdMs === undefined ? 'over' : holdMs > 0 ? 'held' : 'provisional', 'no other machine of this identity is heard');
    this.#wakeup.notify();
  }

  /** To be told when the server says that another machine holds the name. */
  refused(): void {
    if (this.#state !== 'over') {
      this.#enter('refused', 'another machine of this identity is up');
      this.#wakeup.notify();
    }
  }

  /** Ends when the trial is over, and that is on disk. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, identity, aloneAfterMs, onDue, log } = this.#options;
    while (identity.isUnproven()) {
      const nowMs = clock.monotonicMs();
      const aloneAtMs = this.#wordAtMs + aloneAfterMs;
      let waitMs = Infinity;
      if (this.#state === 'over') {
        await identity.prove().catch((error: unknown) => log.warn({ err: error }, 'identity file cannot be written'));
        waitMs = PROVE_AGAIN_MS;
      } else if (this.#state === 'held' && nowMs >= aloneAtMs) {
        this.#enter('provisional', 'the server does not answer');
      } else if (this.#state === 'held') {
        if (this.#dueAtMs !== undefined && nowMs >= this.#dueAtMs) {
          this.#dueAtMs = undefined;
          onDue();
        }
        waitMs = Math.min(aloneAtMs, this.#dueAtMs ?? Infinity) - nowMs;
      }
      if (identity.isUnproven()) {
        await this.#wakeup.wait(clock, waitMs, signal);
      }
    }
  }

  stateOf(project: ProjectObject): FenceState {
    const inner = this.#options.inner.stateOf(project);
    if (inner === 'closed' || this.#state === 'over' || this.#state === 'provisional') {
      return inner;
    }
    return this.#state === 'held' ? 'held' : 'recalled';
  }

  recalled(): ReadonlySet<string> {
    return this.#started;
  }

  note(project: ProjectObject, containerIds: readonly string[]): void {
    this.#options.inner.note(project, containerIds);
  }

  async admit(project: ProjectObject, containerId: string, signal: AbortSignal): Promise<void> {
    await this.#options.inner.admit(project, containerId, signal);
    if (this.#state === 'held' || this.#state === 'refused') {
      throw new StepError('Fenced', 'Cannot start it as another machine of the same identity may be up: waiting for the server');
    }
    if (this.#state === 'provisional') {
      this.#started.add(containerId);
    }
  }

  subscribe(listener: (project: string) => void): () => void {
    this.#listeners.add(listener);
    const unsubscribe = this.#options.inner.subscribe(listener);
    return () => {
      this.#listeners.delete(listener);
      unsubscribe();
    };
  }

  #enter(state: TrialState, why: string): void {
    const { log, projects } = this.#options;
    if (state === this.#state) {
      return;
    }
    const from = this.#state;
    this.#state = state;
    log[state === 'refused' ? 'warn' : 'info']({ from, to: state, why, started: this.#started.size }, 'trial of machine changed');
    if (state === 'over') {
      this.#started.clear();
    }
    for (const project of projects()) {
      this.#listeners.forEach((listener) => listener(project));
    }
  }
}
