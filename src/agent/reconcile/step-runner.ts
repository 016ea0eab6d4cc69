/**
 * Step runner: the steps of one Project that are under way.
 *
 * Owns     one promise and one AbortController per target: no two steps work on the same thing.
 * Never    throws for a failed step: it records the failure in the back-off, and the next look at the engine judges.
 * Callers  project-loop.ts.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Engine } from '../docker/engine.ts';
import { toFailure } from './step-failure.ts';
import type { RestartBackoff } from './restart-backoff.ts';
import { executeStep, stepKey, stepTarget, type Effects, type Step } from './steps.ts';

interface StepRunnerOptions {
  readonly effects: Effects;
  readonly engine: Pick<Engine, 'ping'>;
  readonly backoff: RestartBackoff;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each step, however it ended. */
  readonly onEnd: () => void;
}

interface Running {
  readonly step: Step;
  readonly key: string;
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

export class StepRunner {
  readonly #options: StepRunnerOptions;
  /** Target -> the step at work on it. */
  readonly #running = new Map<string, Running>();

  constructor(options: StepRunnerOptions) {
    this.#options = options;
  }

  /** Targets that are being worked on. */
  get busy(): ReadonlySet<string> {
    return new Set(this.#running.keys());
  }

  /** Begins a step; its target must not be busy. */
  start(step: Step): void {
    const target = stepTarget(step);
    const controller = new AbortController();
    const ended = this.#execute(step, controller.signal).finally(() => {
      this.#running.delete(target);
      this.#options.onEnd();
    });
    this.#running.set(target, { step, key: stepKey(step), controller, ended });
  }

  /** Gives up pulls that nobody wants any more. Other steps are short, and are left to end. */
  abortUnwantedPulls(wanted: ReadonlySet<string>): void {
    for (const { step, key, controller } of this.#running.values()) {
      if (step.kind === 'pullImage' && !wanted.has(key)) {
        controller.abort(new DOMException('No longer wanted', 'AbortError'));
      }
    }
  }

  /** Gives up everything and waits until it has ended. */
  async stop(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { controller } of running) {
      controller.abort(new DOMException('Stopping', 'AbortError'));
    }
    await Promise.all(running.map(async ({ ended }) => await ended));
  }

  async #isEngineThere(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.engine.ping(signal);
      return true;
    } catch {
      return false;
    }
  }

  async #execute(step: Step, signal: AbortSignal): Promise<void> {
    const { effects, backoff, clock, log } = this.#options;
    const key = stepKey(step);
    const startedMs = clock.monotonicMs();
    try {
      await executeStep(effects, step, signal);
      const failures = backoff.recordSuccess(key, clock.monotonicMs());
      log.info(
        { ...describeStep(step), durationMs: Math.round(clock.monotonicMs() - startedMs), ...(failures > 0 && { failures }) },
        'step done',
      );
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      const failure = toFailure(step, error);
      // an engine that shuts down fails what is asked of it, for no fault of the Project's
      const isToBlame = failure === undefined || (await this.#isEngineThere(signal));
      if (signal.aborted) {
        return;
      }
      const { failures } = backoff.recordFailure(key, { error, failure: isToBlame ? failure : undefined }, clock.monotonicMs());
      if (failures === 1) {
        log.warn({ ...describeStep(step), err: error }, 'step failed'); // again only when it works again
      }
    }
  }
}

function describeStep(step: Step): Record<string, string> {
  return {
    stepKind: step.kind,
    ...('service' in step && { service: step.service }),
    ...('image' in step && { image: step.image }),
    ...('containerId' in step && step.containerId !== undefined && { containerId: step.containerId.slice(0, 12) }),
    ...('name' in step && { name: step.name }),
  };
}
