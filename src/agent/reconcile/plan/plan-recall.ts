/** Plans how a copy of a machine takes back what it started before it was known to be one: pure. */
import type { Agenda } from './agenda.ts';
import type { DesiredProject } from '../desired.ts';
import type { ObservedProject } from '../observe.ts';
import { planTeardown } from './plan-teardown.ts';

/**
 * Asks for the next steps. What was found here, volumes and networks stay: a clone's disk may be all that is left of the original one day.
 * @param own the Project's own @param started ids of containers
 */
export function planRecall(desired: DesiredProject, own: ObservedProject, started: ReadonlySet<string>, agenda: Agenda): void {
  // one that was never started was being made when the word came
  const containers = own.containers.filter(({ id, state }) => started.has(id) || state.status === 'created');
  if (containers.length > 0) {
    planTeardown({ containers, networks: [], volumes: [] }, desired, agenda);
  }
}
