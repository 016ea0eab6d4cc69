/**
 * Supervision: the reconciler of the cluster that this node belongs to.
 *
 * Owns     which reconciler runs. A node that joins another control plane gets another reconciler; what the former one had running
 *          carries other labels and is left alone.
 * Callers  compose/link.ts (adopt), compose/assignments.ts and supervise.ts (the rest).
 */
import type { Logger } from '../../base/log.ts';
import { ApiError } from '../../api/errors.ts';
import type { Assignment, AssignmentSource, Reconciler, VolumeIdentity, VolumeRemoval } from '../reconcile/assignment.ts';

export interface Supervision {
  /** Starts the reconciler of `clusterId`, ending that of another cluster. */
  adopt(clusterId: string): void;
  /** undefined before the first `adopt` */
  clusterId(): string | undefined;
  assign(assignments: readonly Assignment[], source: AssignmentSource): void;
  upsert(assignment: Assignment): void;
  remove(project: string, uid: string): void;
  /** As Reconciler. */
  removeVolume(meant: VolumeIdentity, signal: AbortSignal): Promise<VolumeRemoval>;
}

export interface SupervisionOptions {
  readonly createReconciler: (clusterId: string) => Reconciler;
  readonly spawn: (name: string, loop: (signal: AbortSignal) => Promise<void>) => void;
  readonly log: Logger;
}

interface Active {
  readonly clusterId: string;
  readonly reconciler: Reconciler;
  readonly controller: AbortController;
}

export function createSupervision({ createReconciler, spawn, log }: SupervisionOptions): Supervision {
  let active: Active | undefined;

  function start(clusterId: string): Active {
    const reconciler = createReconciler(clusterId);
    const controller = new AbortController();
    spawn('reconciler', async (signal) => {
      try {
        await reconciler.run(AbortSignal.any([signal, controller.signal]));
      } catch (error) {
        if (!controller.signal.aborted) {
          throw error;
        }
      }
    });
    return { clusterId, reconciler, controller };
  }

  return {
    adopt: (clusterId) => {
      if (active?.clusterId === clusterId) {
        return;
      }
      if (active !== undefined) {
        log.warn(
          { from: active.clusterId, to: clusterId },
          'control plane is another one: containers of the former keep running unsupervised',
        );
        active.controller.abort(new DOMException('Another cluster', 'AbortError'));
      }
      active = start(clusterId);
    },
    clusterId: () => active?.clusterId,
    assign: (assignments, source) => active?.reconciler.assign(assignments, source),
    upsert: (assignment) => active?.reconciler.upsert(assignment),
    remove: (project, uid) => active?.reconciler.remove(project, uid),
    removeVolume: async (meant, signal) => {
      if (active === undefined) {
        throw new ApiError('Unavailable', 'Cannot remove a volume before the node has joined a cluster');
      }
      return await active.reconciler.removeVolume(meant, signal);
    },
  };
}
