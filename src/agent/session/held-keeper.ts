/**
 * Held keeper: applies held-projects.ts to what the server says, and tells the server what is held.
 *
 * Owns     what waits since the first list of an epoch, in memory; the newest report on each held Project, sent when it is held no more.
 * Callers  ../compose/supervise.ts makes it; ../compose/assignments.ts hands it lists and changes.
 */
import { ApiError } from '../../api/errors.ts';
import type { HeldProject } from '../../api/project/held-project.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { HeldClient } from '../../client/held-client.ts';
import type { AssignmentFile } from '../assignment-file.ts';
import type { ReportedCondition } from '../host/pressure.ts';
import type { ProjectReport } from '../reconcile/assignment.ts';
import { DELAY_MS, isToBeKept, takeList, toListed } from './held-projects.ts';
import { Outage } from '../outage.ts';

const BACKOFF = { baseMs: 1000, capMs: 30_000 };

export interface HeldKeeperOptions {
  readonly file: Pick<AssignmentFile, 'held' | 'setHeld' | 'find' | 'allOf' | 'list'>;
  readonly client: Pick<HeldClient, 'report'>;
  readonly nodeName: string;
  /** lists the assignments anew */
  readonly relist: () => void;
  /** takes a report to the server */
  readonly report: (report: ProjectReport) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class HeldKeeper {
  readonly #options: HeldKeeperOptions;
  readonly #wakeup = new Wakeup();
  readonly #delayed = new Set<string>();
  /** project -> what was said of it last while it was held */
  readonly #reports = new Map<string, ProjectReport>();
  #delayOverAtMs = -Infinity;
  #base = 0;
  #told = '';

  constructor(options: HeldKeeperOptions) {
    this.#options = options;
  }

  /** What a complete list comes to: the Projects to keep up. */
  takeList(clusterId: string, listed: readonly ProjectObject[], epoch: Epoch | undefined): readonly ProjectObject[] {
    const { file, clock, log } = this.#options;
    const before = file.held;
    const isDelayOver = clock.monotonicMs() >= this.#delayOverAtMs;
    const taken = takeList({ known: file.allOf(clusterId), listed, epoch, record: before, isDelayOver });
    if (epoch !== undefined && epoch.id !== before.epoch) {
      const held = Object.keys(taken.record.held);
      log.warn(
        { epoch: epoch.id, backupAt: epoch.backupAt, held, delayed: taken.delayed },
        'control plane was restored, what runs is held on to',
      );
      this.#delayOverAtMs = clock.monotonicMs() + DELAY_MS;
    }
    this.#base = epoch?.assignmentBase ?? 0;
    this.#delayed.clear();
    taken.delayed.forEach((name) => this.#delayed.add(name));
    this.#told = '';
    file.setHeld(taken.record);
    this.#flushReleased();
    this.#wakeup.notify();
    return taken.projects;
  }

  /** Whether a change of a Project is to be taken in. */
  takes(project: ProjectObject): boolean {
    const { name } = project.metadata;
    if (this.#delayed.has(name) && project.status.assignment <= this.#base && project.metadata.deletedAt === undefined) {
      return false;
    }
    this.#delayed.delete(name);
    const { file } = this.#options;
    const seen = file.held.held[name];
    const here = file.find(name);
    if (seen === undefined || here === undefined) {
      return true;
    }
    if (isToBeKept(here, project, { seen, base: this.#base })) {
      this.#setHeld(name, seen ?? toListed(project));
      return false;
    }
    this.#setHeld(name, undefined);
    return true;
  }

  /** Whether the end of an assignment is to be taken in: that of a Project which only shares the name of a held one is not. */
  takesRemoval(name: string, uid: string): boolean {
    const here = this.#options.file.find(name);
    if (!this.isHeld(name)) {
      return true;
    }
    if (here !== undefined && here.metadata.uid !== uid) {
      return false;
    }
    this.#setHeld(name, undefined);
    return true;
  }

  isHeld(name: string): boolean {
    return this.#options.file.held.held[name] !== undefined;
  }

  /** The epoch that the assignments are of; "" for none. */
  get epoch(): string {
    return this.#options.file.held.epoch;
  }

  /** Whether what stands unassigned may be removed. */
  mayRemoveOrphans(): boolean {
    return this.#options.file.held.isSparing !== true;
  }

  /** Takes a report on its way to the server: of what is held, it says that it is ahead, where the server would understand that. */
  passReport(report: ProjectReport): void {
    const seen = this.#options.file.held.held[report.project];
    if (seen === undefined) {
      this.#options.report(report);
      return;
    }
    this.#reports.set(report.project, report);
    const { assignment, services } = report.report;
    if (seen !== null && seen.uid === report.uid && seen.assignment === assignment) {
      const message = `Runs on as before the restore, which this state is behind: caractrl adopt ${report.project} keeps it, caractrl apply replaces it`;
      this.#options.report({
        ...report,
        report: {
          phase: 'Scheduled',
          reason: 'AheadOfRestore',
          message,
          assignment,
          uid: report.uid,
          ...(services !== undefined && { services }),
        },
      });
    }
  }

  /** What is to be said of it with the node; undefined while nothing is held. */
  condition(): ReportedCondition | undefined {
    const names = Object.keys(this.#options.file.held.held);
    if (names.length === 0) {
      return undefined;
    }
    const shown = names.slice(0, 10).join(', ') + (names.length > 10 ? ` and ${names.length - 10} more` : '');
    const message = `Runs on with ${shown}, which the restored control plane does not know, or not as they are: see caractrl adopt`;
    return { type: 'ProjectsHeld', status: 'True', reason: 'AheadOfRestore', message };
  }

  /** Tells the server what is held, when that changes; lists anew when what waits has waited for long enough. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log, relist } = this.#options;
    const backoff = new Backoff(BACKOFF, random);
    const outage = new Outage(log, clock, 'reports of held Projects');
    for (;;) {
      let waitMs = this.#delayed.size === 0 ? Infinity : this.#delayOverAtMs - clock.monotonicMs();
      if (waitMs <= 0) {
        this.#delayed.clear();
        relist();
        waitMs = Infinity;
      }
      try {
        await this.#tell(signal);
        outage.recovered();
        backoff.reset();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ApiError)) {
          throw error;
        }
        outage.failed(error);
        waitMs = Math.min(waitMs, error.retryAfterMs ?? backoff.nextMs());
      }
      await this.#wakeup.wait(clock, waitMs, signal);
    }
  }

  async #tell(signal: AbortSignal): Promise<void> {
    const { file, client, nodeName } = this.#options;
    const { epoch, held } = file.held;
    if (epoch === '') {
      return;
    }
    const projects = file
      .list()
      .filter(({ metadata }) => held[metadata.name] !== undefined)
      .map(toHeldProject);
    const text = JSON.stringify([epoch, projects]);
    if (text !== this.#told) {
      await client.report(nodeName, { epoch, projects }, signal);
      this.#told = text;
    }
  }

  #setHeld(name: string, seen: ReturnType<typeof toListed> | undefined): void {
    const { file } = this.#options;
    const { [name]: _gone, ...others } = file.held.held;
    file.setHeld({ ...file.held, held: seen === undefined ? others : { ...others, [name]: seen } });
    this.#flushReleased();
    this.#wakeup.notify();
  }

  /** What was held back of those that are held no more. */
  #flushReleased(): void {
    for (const [name, report] of this.#reports) {
      if (!this.isHeld(name)) {
        this.#reports.delete(name);
        this.#options.report(report);
      }
    }
  }
}

function toHeldProject({ metadata, spec, status }: ProjectObject): HeldProject {
  const { name, uid, generation, labels, annotations, createdAt } = metadata;
  return {
    metadata: { name, uid, generation, labels, annotations, createdAt },
    spec,
    assignment: status.assignment,
    ...(status.secrets !== undefined && { secrets: [...status.secrets] }),
  };
}
