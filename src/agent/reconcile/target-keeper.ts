/**
 * Target keeper: what is to become of one Project on this node: what the server, or the file, says of it, as far as the fence allows it.
 *
 * Owns     the order, and the target that was derived from it. A target is the same object for as long as it holds, so that who looked
 *          at the engine meanwhile can tell whether it still does.
 * Never    looks at the engine; tells the fence of containers that are not this Project's.
 * Callers  project-loop.ts.
 */
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject } from '../../api/project.ts';
import { deriveDesired, type DesiredContext } from './desired.ts';
import type { FenceGate, FenceState } from './fence-gate.ts';
import type { ObservedProject } from './observe.ts';
import type { Target } from './plan.ts';
import type { RolloutKeeper } from './rollout-keeper.ts';

/** What the server, or the file, says of a Project. */
export type Order =
  | { readonly kind: 'assigned'; readonly project: ProjectObject }
  /** No longer ours. `project` is the last that was known of it. */
  | { readonly kind: 'removed'; readonly uid: string; readonly project: ProjectObject | undefined };

interface TargetKeeperOptions {
  readonly context: DesiredContext;
  readonly fence: FenceGate;
  readonly rollout: Pick<RolloutKeeper, 'deriveTarget'>;
}

export class TargetKeeper {
  readonly #options: TargetKeeperOptions;
  #order: Order;
  /** What `#target` was derived under. */
  #fence: FenceState = 'open';
  #target: Target | undefined;

  constructor(order: Order, options: TargetKeeperOptions) {
    this.#order = order;
    this.#options = options;
  }

  get order(): Order {
    return this.#order;
  }

  /** The target that was derived last, if it still holds. */
  get latest(): Target | undefined {
    return this.#target;
  }

  setOrder(order: Order): void {
    this.#order = order;
    this.#target = undefined;
  }

  /** To be called when another version is the good one, or one was given up: what is to run is derived anew. */
  forget(): void {
    this.#target = undefined;
  }

  /** The target as the order and the fence have it now. */
  derive(): Target {
    const fence = this.#order.kind === 'assigned' ? this.#options.fence.stateOf(this.#order.project) : 'open';
    if (fence !== this.#fence) {
      this.#fence = fence;
      this.#target = undefined;
    }
    this.#target ??= this.#deriveAnew();
    return this.#target;
  }

  #deriveAnew(): Target {
    const order = this.#order;
    const desired = order.project && deriveDesired(order.project, this.#options.context);
    if (order.kind === 'removed' || desired === undefined) {
      return { kind: 'remove', uid: order.kind === 'removed' ? order.uid : order.project.metadata.uid, desired };
    }
    if (order.project.metadata.deletedAt !== undefined || isLeaving(order.project)) {
      return { kind: 'terminate', desired };
    }
    if (this.#fence === 'recalled') {
      return { kind: 'recalled', desired, started: this.#options.fence.recalled?.() ?? new Set() };
    }
    if (this.#fence === 'closed') {
      return { kind: 'fenced', desired };
    }
    const run = this.#options.rollout.deriveTarget(order.project, desired);
    return { kind: 'run', ...run, isHeld: this.#fence === 'held' };
  }

  /** Tells the fence which containers the Project has. */
  noteContainers({ containers }: ObservedProject): void {
    if (this.#order.kind === 'assigned') {
      const { project } = this.#order;
      const own = containers.filter(({ owner }) => owner.projectUid === project.metadata.uid);
      this.#options.fence.note(
        project,
        own.map(({ id }) => id),
      );
    }
  }

  /** Asks the fence whether a container may be started now. @throws {StepError} Fenced */
  async admit(containerId: string, signal: AbortSignal): Promise<void> {
    if (this.#order.kind === 'assigned') {
      await this.#options.fence.admit(this.#order.project, containerId, signal);
    }
  }
}
