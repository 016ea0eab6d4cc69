/** When a new version has failed for good, and is to be rolled back: pure. */
import type { Failure } from '../failure.ts';
import type { Site } from './doing.ts';
import type { ServicePlan } from './plan-service.ts';

const PROGRESS_DEADLINE_MS = 600_000; // as a Deployment's in Kubernetes; checks and pulls end by themselves and are not held to it

export interface Defeat {
  readonly service: string;
  /** Of the new version; undefined where it has none. */
  readonly containerId: string | undefined;
  readonly cause: Failure;
}

/**
 * The first service of a new version that has failed for good.
 * @param options.quietMs how long what services do has not changed
 */
export function findDefeat(
  plans: readonly ServicePlan[],
  { site, quietMs }: { readonly site: Site; readonly quietMs: number },
): Defeat | undefined {
  const late = site.isPrepared && quietMs >= PROGRESS_DEADLINE_MS ? plans.find(isStuck) : undefined;
  const plan = plans.find(({ defeat }) => defeat !== undefined) ?? late;
  if (plan === undefined) {
    return undefined;
  }
  const { status, defeat } = plan;
  const view = site.views.byName.get(status.name);
  const isCurrent = view?.container?.owner.configHash === view?.service.configHash;
  const message = `nothing has happened for ${PROGRESS_DEADLINE_MS / 60_000} min: ${status.message ?? status.state}`;
  const cause = defeat ?? { reason: 'ProgressDeadlineExceeded' as const, message };
  return { service: status.name, containerId: isCurrent ? view?.container?.id : undefined, cause };
}

/** Nothing is at work on it that ends by itself. */
function isStuck({ status: { state, ready }, failure, tried }: ServicePlan): boolean {
  const cannotBeChecked = state === 'Starting' && failure !== undefined;
  return !ready && (state === 'Waiting' || state === 'Pending' || tried !== undefined || cannotBeChecked);
}
