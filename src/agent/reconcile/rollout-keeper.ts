/**
 * Rollout keeper: what one Project's loop knows of its versions from look to look.
 *
 * Owns     the time since which nothing has happened. Which version is good and which was given up stands in the RolloutStore, which
 *          outlives the agent: one that lost it tries what was given up once more, and ends the same.
 * Never    decides anything: rollout.ts and plan.ts do.
 * Callers  project-loop.ts.
 */
import type { ProjectObject, StatusReport } from '../../api/project.ts';
import type { Logger } from '../../base/log.ts';
import { canonicalJson } from './desired/config-hash.ts';
import type { DesiredProject } from './desired.ts';
import type { ObservedProject } from './observe.ts';
import type { Target } from './plan.ts';
import { describeFailed, partsOf, versionOf, withKeptImages, withVersion, type Rollout, type RolloutStore } from './desired/rollout.ts';
import type { StepOf } from './steps.ts';

interface RolloutKeeperOptions {
  readonly rollouts: RolloutStore;
  readonly derive: (project: ProjectObject) => DesiredProject;
  readonly log: Logger;
}

export class RolloutKeeper {
  readonly #options: RolloutKeeperOptions;
  #quiet: { readonly doing: string; readonly sinceMs: number } = { doing: '', sinceMs: Infinity };

  constructor(options: RolloutKeeperOptions) {
    this.#options = options;
  }

  /** Monotonic ms since which what services do has not changed. */
  get quietSinceMs(): number {
    return this.#quiet.sinceMs;
  }

  /** What is to run: the version asked for, or the last good one where that was given up. */
  deriveTarget(project: ProjectObject, desired: DesiredProject): { readonly desired: DesiredProject; readonly rollout: Rollout } {
    const { good, failed } = this.#options.rollouts.find(project.metadata.uid) ?? {};
    const version = versionOf(desired);
    if (good === undefined) {
      return { desired, rollout: { version, good, failed: undefined } };
    }
    const goodDesired = withKeptImages(this.#options.derive(withVersion(project, good)), good.images);
    const last = { version: versionOf(goodDesired), generation: good.generation, desired: goodDesired };
    const isGivenUp = failed?.version === version && last.version !== version;
    return isGivenUp
      ? { desired: goodDesired, rollout: { version, good: last, failed } }
      : { desired, rollout: { version, good: last, failed: undefined } };
  }

  /** Remembers the version that runs, to come back to it. @returns whether that is news */
  noteGood(project: ProjectObject, target: Target | undefined, { containers }: ObservedProject): boolean {
    if (target?.kind !== 'run' || target.rollout === undefined || target.rollout.failed !== undefined) {
      return false;
    }
    const { good, version } = target.rollout;
    const { uid, generation } = project.metadata;
    if (good?.version === version && good.generation === generation) {
      return false;
    }
    const hashes = new Map(target.desired.services.map(({ name, configHash }) => [name, configHash]));
    const current = containers.filter(({ owner }) => owner.projectUid === uid && hashes.get(owner.service) === owner.configHash);
    const images = Object.fromEntries(current.map(({ owner, imageId }) => [owner.service, imageId]));
    this.#options.rollouts.put(uid, { good: { generation, ...partsOf(project), images } });
    this.#options.log.info({ generation }, 'project version is good');
    return true;
  }

  /** Gives a version up; the last good one is what is to run then. Does nothing where something else is asked for by now. */
  giveUp(
    project: ProjectObject,
    target: Target | undefined,
    { step, lines }: { step: StepOf<'rollBack'>; lines: readonly string[] },
  ): void {
    const { service, cause, version } = step;
    if (target?.kind !== 'run' || target.rollout?.good === undefined || target.rollout.version !== version) {
      return;
    }
    const { uid, generation } = project.metadata;
    const message = describeFailed({ service, cause, lines }, { generation, goodGeneration: target.rollout.good.generation });
    this.#options.rollouts.put(uid, { ...this.#options.rollouts.find(uid), failed: { version, generation, message } });
    this.#options.log.warn({ generation, service, reason: cause.reason, reasonMessage: cause.message }, 'project version rolled back');
  }

  noteProgress(report: StatusReport | undefined, nowMs: number): void {
    const services = report?.services?.map(({ name, state, containerId }) => [name, state, containerId]);
    const doing = canonicalJson([report?.observedGeneration, services]);
    if (doing !== this.#quiet.doing) {
      this.#quiet = { doing, sinceMs: nowMs };
    }
  }
}
