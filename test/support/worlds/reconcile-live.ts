/** A reconciler in real time on an engine behind a socket, the fake or a real one, with what it reported. */
import { pino } from 'pino';
import { until } from '../../../scripts/lib/wait.ts';
import { createDockerEngine } from '../../../src/agent/docker/docker-client.ts';
import type { ContainerDetail } from '../../../src/agent/docker/docker-types.ts';
import type { Engine } from '../../../src/agent/docker/engine.ts';
import { containerName } from '../../../src/agent/docker/names.ts';
import type { ProjectReport, Reconciler } from '../../../src/agent/reconcile/assignment.ts';
import { createReconciler, type ReconcilerOptions } from '../../../src/agent/reconcile/reconciler.ts';
import type { ProjectObject, StatusReport } from '../../../src/api/project.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { NO_SECRETS } from '../objects/secrets.ts';

interface LiveOptions extends Partial<ReconcilerOptions> {
  /** As in DOCKER_HOST. */
  readonly host: string;
}

export class LiveReconciler implements AsyncDisposable {
  readonly engine: Engine;
  readonly reports: ProjectReport[] = [];
  readonly reconciler: Reconciler;
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor({ host, ...options }: LiveOptions) {
    this.engine = createDockerEngine({ host, clock: systemClock });
    this.reconciler = createReconciler({
      engine: this.engine,
      clusterId: 'c1',
      clock: systemClock,
      random: systemRandom,
      log: pino({ level: process.env['CARA_TEST_LOG'] ?? 'silent' }),
      report: (report) => this.reports.push(report),
      secrets: NO_SECRETS,
      ...options,
    });
    this.#running = this.reconciler.run(this.#controller.signal);
  }

  assign(...projects: readonly ProjectObject[]): void {
    this.reconciler.assign(
      projects.map((project) => ({ project })),
      'server',
    );
  }

  latest(project: string): StatusReport | undefined {
    return this.reports.findLast((report) => report.project === project)?.report;
  }

  /** Waits for a phase reported for the project's generation. */
  async untilPhase(phase: StatusReport['phase'], { metadata }: ProjectObject, timeoutMs = 60_000): Promise<StatusReport> {
    const what = `project ${metadata.name} to be ${phase}`;
    try {
      return await until(
        () => {
          const report = this.latest(metadata.name);
          return report?.phase === phase && report.observedGeneration === metadata.generation ? report : undefined;
        },
        { what, timeoutMs, intervalMs: 5 },
      );
    } catch (error) {
      throw new Error(`${what}: latest report is ${JSON.stringify(this.latest(metadata.name))}`, { cause: error });
    }
  }

  async inspect(project: string, service: string): Promise<ContainerDetail | undefined> {
    return await this.engine.inspectContainer(containerName(project, service), new AbortController().signal);
  }

  /** Ends it without tidying up in the engine. */
  async crash(): Promise<void> {
    this.#controller.abort(new DOMException('Crashed', 'AbortError'));
    await this.#running;
    this.engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }
}
