/** A reconciler on a model engine and a virtual clock, with what it reported: for tests of its behaviour in time. */
import { pino } from 'pino';
import type { ProjectObject, ServiceStatus, StatusReport } from '../../../src/api/project.ts';
import type { Assignment, AssignmentSource, ProjectReport, Reconciler } from '../../../src/agent/reconcile/assignment.ts';
import { createReconciler, type ReconcilerOptions } from '../../../src/agent/reconcile/reconciler.ts';
import { ModelEngine } from '../engines/model-engine.ts';
import { NO_SECRETS } from '../objects/secrets.ts';
import { VirtualClock } from '../time/virtual-clock.ts';

export const CLUSTER = 'c1';

export class ReconcileWorld implements AsyncDisposable {
  readonly model: ModelEngine;
  readonly clock: VirtualClock;
  readonly reports: ProjectReport[] = [];
  readonly reconciler: Reconciler;
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<ReconcilerOptions> & { readonly model?: ModelEngine; readonly clock?: VirtualClock } = {}) {
    const { model = new ModelEngine(), clock = new VirtualClock(), ...rest } = options;
    this.model = model;
    this.clock = clock;
    this.reconciler = createReconciler({
      engine: model.engine,
      clusterId: CLUSTER,
      clock,
      random: { next: () => 0.5, uuid: () => 'uuid' },
      log: pino({ level: 'silent' }),
      report: (report) => this.reports.push(report),
      readRoutes: async () => await Promise.resolve([]),
      secrets: NO_SECRETS,
      ...rest,
    });
    this.#running = this.reconciler.run(this.#controller.signal);
  }

  /** The latest report of a Project. */
  latest(project = 'shop'): StatusReport | undefined {
    return this.reports.findLast((report) => report.project === project)?.report;
  }

  service(name: string, project = 'shop'): ServiceStatus | undefined {
    return this.latest(project)?.services?.find((service) => service.name === name);
  }

  /** Hands it the complete set. */
  assign(projects: readonly ProjectObject[], source: AssignmentSource = 'server'): void {
    this.reconciler.assign(
      projects.map((project): Assignment => ({ project })),
      source,
    );
  }

  async until(isReached: () => boolean, limitMs = 120_000): Promise<void> {
    await this.clock.advanceUntil(isReached, limitMs);
  }

  async untilPhase(phase: StatusReport['phase'], project = 'shop'): Promise<void> {
    await this.until(() => this.latest(project)?.phase === phase);
  }

  /** Ends it as kill -9 would, as far as one process can: at once, with nothing tidied up in the engine. */
  async crash(): Promise<void> {
    this.#controller.abort(new DOMException('Crashed', 'AbortError'));
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }
}
