/**
 * Project teller: hands on what is true of one Project, with how far its pulls are, whenever that is news.
 *
 * Owns     the latest report, and the last that was handed on.
 * Callers  project-loop.ts.
 */
import type { StatusReport } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { PullProgress } from '../docker/docker-types.ts';
import type { ProjectReport } from './assignment.ts';
import { canonicalJson } from './desired/config-hash.ts';
import { PullBoard } from './pull-board.ts';
import { withPullProgress } from './pull-progress.ts';

interface ProjectTellerOptions {
  /** of the Project */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: (report: ProjectReport) => void;
}

export class ProjectTeller {
  readonly #options: ProjectTellerOptions;
  readonly #pulls: PullBoard;
  #latest: StatusReport | undefined;
  /** What was handed on last, as canonical JSON; undefined: nothing, or it was lost. */
  #told: string | undefined;

  constructor(options: ProjectTellerOptions) {
    this.#options = options;
    this.#pulls = new PullBoard(options.clock, () => this.#tell());
  }

  /** What was true at the last look; undefined before the first, and of a Project that is no longer ours. */
  get latest(): StatusReport | undefined {
    return this.#latest;
  }

  /** @param wanted keys of the steps that are needed: pulls that are not among them are forgotten */
  tell(report: StatusReport | undefined, wanted: ReadonlySet<string>): void {
    this.#latest = report;
    this.#pulls.keepOnly(wanted);
    this.#tell();
  }

  notePull(image: string, progress: PullProgress): void {
    this.#pulls.record(image, progress);
  }

  /** Has the next report handed on though it be the same: the one before was lost. */
  forget(): void {
    this.#told = undefined;
  }

  #tell(): void {
    if (this.#latest === undefined) {
      return;
    }
    const { name, log } = this.#options;
    const report = withPullProgress(this.#latest, this.#pulls.lines);
    const text = canonicalJson(report);
    if (text === this.#told) {
      return;
    }
    const from = this.#told === undefined ? undefined : (JSON.parse(this.#told) as StatusReport).phase;
    if (from !== report.phase) {
      const { reason, message } = report;
      log.info({ from, to: report.phase, reason, reasonMessage: message }, 'project phase changed');
    }
    this.#told = text;
    this.#options.report({ project: name, uid: report.uid ?? '', report });
  }
}
