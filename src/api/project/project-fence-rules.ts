/** What a schema cannot say about `onNodeLost`: pure. Callers: project-rules.ts. */
import { formatDuration } from '../duration.ts';
import type { FieldError } from '../errors.ts';
import { deriveFenceTerms, leastAfterMs } from './fence.ts';
import type { ProjectSpec } from '../project.ts';

/** A fence goes with moving alone, and must leave time for an orderly stop before the server may move. */
export function checkFence(spec: ProjectSpec, base: string): readonly FieldError[] {
  const { fence, action = 'Reschedule', after } = spec.onNodeLost ?? {};
  if (fence !== true) {
    return [];
  }
  if (action !== 'Reschedule') {
    return [{ pointer: `${base}/onNodeLost/fence`, detail: `goes with action Reschedule alone: current action is ${action}` }];
  }
  const terms = deriveFenceTerms(spec);
  if (terms === undefined) {
    const detail = 'needs an action said outright, as a Project with data stays with its node by default: add action: Reschedule';
    return [{ pointer: `${base}/onNodeLost/fence`, detail }];
  }
  const leastMs = leastAfterMs(terms.graceMs);
  if (terms.afterMs >= leastMs) {
    return [];
  }
  const why = `${formatDuration(terms.graceMs)} of it for its services to stop one after another (stopGracePeriod) and the rest for the kill and for clocks that differ`;
  const current = after ?? `${formatDuration(terms.afterMs)} by default`;
  return [
    {
      pointer: `${base}/onNodeLost/after`,
      detail: `must be at least ${formatDuration(leastMs)} with fence, ${why}: current value is ${current}`,
    },
  ];
}
