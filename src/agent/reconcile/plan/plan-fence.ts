/** Plans how a Project that may run elsewhere is stopped here, to be started again or removed when the server has said which: pure. */
import type { ServiceStatus } from '../../../api/project.ts';
import type { Agenda } from './agenda.ts';
import type { DesiredProject } from '../desired.ts';
import type { ObservedProject } from '../observe.ts';
import { hasDependentUp, isUp, leavingStatus, planStop } from './plan-teardown.ts';

const RECHECK_MS = 1000;

interface FenceInput {
  /** the Project's own */
  readonly own: ObservedProject;
  readonly agenda: Agenda;
  /** ids of containers that ran until the fence stopped them */
  readonly interrupted: ReadonlySet<string>;
}

/**
 * Asks for the next steps of the stop. A job that was interrupted is removed, as its exit code would be taken for its own: one that ends
 * with 0 when it is asked to stop has not completed.
 * @returns what to tell of the services
 */
export function planFence(desired: DesiredProject, { own, agenda, interrupted }: FenceInput): readonly ServiceStatus[] {
  for (const container of own.containers) {
    const service = desired.services.find(({ name }) => name === container.owner.service);
    const names = { service: container.owner.service, containerId: container.id };
    if (container.state.status === 'removing') {
      agenda.wakeAt(agenda.nowMs + RECHECK_MS);
    } else if (isUp(container)) {
      if (!hasDependentUp(container, own, desired)) {
        planStop(container, desired, agenda);
      }
    } else if (interrupted.has(container.id) && service?.restartPolicy !== 'Always') {
      agenda.add({ kind: 'removeContainer', ...names, isStuck: container.state.status === 'dead' });
    }
  }
  return desired.services.map(({ name }) => {
    const container = own.containers.find(({ owner }) => owner.service === name);
    const status = container === undefined ? { name, ready: false } : leavingStatus(container);
    return { ...status, state: container !== undefined && isUp(container) ? ('Stopping' as const) : ('Pending' as const) };
  });
}
