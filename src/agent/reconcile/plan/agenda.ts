/** Agenda: collects the next steps of a plan, and holds back those that must wait. Lives as long as one call of `plan`. */
import type { Failure } from '../failure.ts';
import type { BackoffEntry } from '../restart-backoff.ts';
import { stepKey, stepTarget, type Step } from '../steps.ts';

export interface AgendaOptions {
  readonly backoff: ReadonlyMap<string, BackoffEntry>;
  /** Targets of steps that are under way, or ended after the engine was looked at. */
  readonly busy: ReadonlySet<string>;
  readonly nowMs: number;
}

export class Agenda {
  readonly #options: AgendaOptions;
  readonly #targets = new Set<string>();
  readonly #failures: Failure[] = [];
  readonly #wanted = new Set<string>();
  readonly #steps: Step[] = [];
  #wakeAtMs = Infinity;

  constructor(options: AgendaOptions) {
    this.#options = options;
  }

  get nowMs(): number {
    return this.#options.nowMs;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** Keys of all steps asked for, also those that must wait. */
  get wanted(): ReadonlySet<string> {
    return this.#wanted;
  }

  /** Monotonic ms at which to plan again though nothing happens. */
  get wakeAtMs(): number {
    return this.#wakeAtMs;
  }

  /** How steps asked for failed when last tried, in the order of asking. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  /** Asks for a step. It waits while another works on the same thing, or its back-off lasts. @returns how it failed when last tried */
  add(step: Step): Failure | undefined {
    const key = stepKey(step);
    const target = stepTarget(step);
    const entry = this.#options.backoff.get(key);
    const isNew = !this.#wanted.has(key);
    this.#wanted.add(key);
    if (entry !== undefined && entry.notBeforeMs > this.nowMs) {
      this.wakeAt(entry.notBeforeMs);
    } else if (!this.#options.busy.has(target) && !this.#targets.has(target)) {
      this.#targets.add(target);
      this.#steps.push(step);
    }
    if (entry?.failure !== undefined && isNew) {
      this.#failures.push(entry.failure);
    }
    return entry?.failure;
  }

  /** Whether a step on the same thing is under way, or is to be taken now. */
  isActive(step: Step): boolean {
    const target = stepTarget(step);
    return this.#targets.has(target) || this.#options.busy.has(target);
  }

  /** The pause before the step may be tried again, as it was chosen, in milliseconds; 0 where it may be at once. */
  pauseBefore(step: Step): number {
    const entry = this.#options.backoff.get(stepKey(step));
    return entry === undefined || entry.notBeforeMs <= this.nowMs ? 0 : entry.pauseMs;
  }

  /** Whether the step was done, and has been asked for or kept in each plan since. */
  hasDone(step: Step): boolean {
    return this.#options.backoff.get(stepKey(step))?.failures === 0;
  }

  /** Monotonic ms at which the step was done, if it was; as hasDone. */
  doneAtMs(step: Step): number | undefined {
    const entry = this.#options.backoff.get(stepKey(step));
    return entry?.failures === 0 ? entry.notBeforeMs : undefined;
  }

  /** How often the step has failed, since it last was done, for what was asked for; an engine in trouble does not count. */
  refusalsOf(step: Step): number {
    return this.#options.backoff.get(stepKey(step))?.refusals ?? 0;
  }

  /** Keeps the back-off of a step that is not needed now but would be too early if it were again. */
  keep(step: Step): void {
    this.#wanted.add(stepKey(step));
  }

  wakeAt(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }
}
