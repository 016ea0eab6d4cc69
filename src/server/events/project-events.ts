/**
 * Project events: what a change of a Project's record tells; pure.
 *
 * Callers  event-source.ts
 */
import { findCondition, type Condition } from '../../api/condition.ts';
import type { EventType } from '../../api/event.ts';
import { EXPIRING } from '../../api/project/expiry.ts';
import { MOVED } from '../../api/project/leaving.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import { subjectOf, type EventFact } from './event-fact.ts';
import { listServiceEvents } from './service-events.ts';
import { spanBetween, withSpan } from './span.ts';

/** What a Project comes from that was not there. */
const NOTHING: ProjectStatus = { phase: 'Pending', assignment: 0, observedGeneration: 0, services: [], conditions: [] };

/** @param previous undefined: it was not there @param next undefined: it is gone */
export function eventsOfProjectChange(previous: ProjectObject | undefined, next: ProjectObject | undefined): readonly EventFact[] {
  const isSame = previous?.metadata.uid === next?.metadata.uid;
  const gone = previous !== undefined && (next === undefined || !isSame) ? [deleted(previous)] : [];
  if (next === undefined) {
    return gone;
  }
  const before = isSame ? (previous?.status ?? NOTHING) : NOTHING;
  const ofServices = listServiceEvents(before, next);
  return [
    ...gone,
    ...listMoveEvents(before, next),
    ...listPlacementEvents(before, next),
    ...listReachabilityEvents(before, next),
    ...listLifetimeEvents(before, next),
    ...ofServices,
    // what a service that turned unhealthy has told is not told a second time
    ...listPhaseEvents(before, next).filter(({ reason }) => reason !== 'Unhealthy' || !isHealthKnown(next)),
  ];
}

function isHealthKnown({ status }: ProjectObject): boolean {
  return status.services.some(({ health, lastExit }) => health !== undefined || lastExit?.reason === 'Unhealthy');
}

function deleted(project: ProjectObject): EventFact {
  const { phase, nodeRef } = project.status;
  return tell(project, 'Normal', 'Deleted', `Record removed, it was ${phase}${nodeRef === undefined ? '' : ` on ${nodeRef}`}`);
}

function listMoveEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  const moved = findNews(before, project.status, MOVED);
  const { from = '', to } = project.status.move ?? {};
  if (moved?.status === 'True') {
    return [tell(project, 'Normal', 'Left', moved.message)];
  }
  const where = to === undefined ? from : `${from} for ${to}`;
  return moved === undefined ? [] : [tell(project, 'Normal', 'Moving', `Asked to leave ${where}: the agent there stops it first`)];
}

function listPlacementEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  const { status } = project;
  if (status.nodeRef !== undefined && status.assignment > before.assignment) {
    const from = before.nodeRef === undefined || before.nodeRef === status.nodeRef ? '' : `, moved from ${before.nodeRef}`;
    return [tell(project, 'Normal', 'Scheduled', `Placed on ${status.nodeRef}${from} (assignment ${status.assignment})`)];
  }
  const scheduled = findNews(before, status, 'Scheduled');
  if (scheduled?.status !== 'False' || scheduled.reason === 'Moving') {
    return []; // that it has left is told already
  }
  // the scheduler gave no node, or the server gave up the one there was
  const reason = scheduled.reason === 'NodeLost' ? 'NodeLost' : 'FailedScheduling';
  return [tell(project, 'Warning', reason, scheduled.message)];
}

function listReachabilityEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  const { status } = project;
  const unreachable = findNews(before, status, 'NodeReachable');
  if (unreachable !== undefined) {
    return unreachable.status === 'False' ? [tell(project, 'Warning', 'NodeUnreachable', unreachable.message)] : [];
  }
  const was = findCondition(before.conditions, 'NodeReachable');
  const isBack = was?.status === 'False' && findCondition(status.conditions, 'NodeReachable') === undefined;
  if (!isBack || status.nodeRef === undefined || status.nodeRef !== before.nodeRef) {
    return [];
  }
  const span = spanBetween(was.lastTransitionTime, project.metadata.updatedAt);
  return [tell(project, 'Normal', 'NodeReachable', `Node ${status.nodeRef} is back${withSpan(' after ', span)}`)];
}

function listLifetimeEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  const expiring = findNews(before, project.status, EXPIRING);
  return expiring?.status === 'True' ? [tell(project, 'Warning', 'Expiring', expiring.message)] : [];
}

function listPhaseEvents(before: ProjectStatus, project: ProjectObject): readonly EventFact[] {
  const { phase, reason, message = '', nodeRef } = project.status;
  const isNewPhase = phase !== before.phase;
  switch (phase) {
    case 'Running':
      return isNewPhase ? [running(before, project)] : [];
    case 'Failed':
      if (!isNewPhase && reason === before.reason && message === (before.message ?? '')) {
        return [];
      }
      // each cause is an Event of its own: under one reason, the next failure would overwrite what the first one was
      return [tell(project, 'Warning', reason ?? 'Failed', message || 'A service cannot be brought up')];
    case 'Terminating':
      if (!isNewPhase) {
        return [];
      }
      return reason === 'Expired'
        ? [tell(project, 'Warning', 'Expired', message)]
        : [tell(project, 'Normal', 'Terminating', message || `Being removed${nodeRef === undefined ? '' : ` from ${nodeRef}`}`)];
    case 'Pending':
    case 'Scheduled':
    case 'Terminated':
      return [];
    default:
      return phase satisfies never;
  }
}

function running(before: ProjectStatus, project: ProjectObject): EventFact {
  const { nodeRef, conditions } = project.status;
  const begin = findCondition(before.conditions, 'Ready')?.lastTransitionTime;
  const span = spanBetween(begin, findCondition(conditions, 'Ready')?.lastTransitionTime);
  const where = nodeRef === undefined ? '' : ` on ${nodeRef}`;
  return tell(project, 'Normal', 'Running', `Every service is ready${where}${withSpan(' after ', span)}`);
}

/** The condition of `type` when it says something else than before. */
function findNews(before: ProjectStatus, after: ProjectStatus, type: string): Condition | undefined {
  const was = findCondition(before.conditions, type);
  const is = findCondition(after.conditions, type);
  const isSame = is?.status === was?.status && is?.reason === was?.reason && is?.message === was?.message;
  return isSame ? undefined : is;
}

function tell(project: ProjectObject, type: EventType, reason: string, message: string): EventFact {
  return { object: subjectOf(project), type, reason, message };
}
