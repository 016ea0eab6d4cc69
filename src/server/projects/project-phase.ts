/**
 * Project phase: what an agent's report makes of a Project's status; pure.
 *
 * The agent says what it sees; the phase is decided here:
 * - A report is believed only for the assignment (and uid) that it names, and only while the Project has a node; else it is stale.
 * - Terminating stays Terminating, whatever is reported, until Terminated: then the record goes.
 * - Running is shown only when the report speaks of the current generation and calls no service of the spec unready; otherwise
 *   Scheduled, with what is waited for. A failure of an older generation says nothing of the current one and shows as Updating. The same
 *   goes for a report that speaks of Secrets as they were.
 * - A Project that was asked to leave its node stays so, whatever is reported, until Terminated: then it is Pending, without a node.
 * - Terminated or Terminating of a Project that nobody deletes or moves is no end: the node is chosen and the work is not up, so Scheduled.
 * - A Project given up with its node (Failed, NodeLost) stays so while the node has no record or is NotReady, however well it may run
 *   there: the project controller would give it up anew at once. It ends that when the node is back (markReachable).
 * Callers  project-service.ts
 */
import { isDeepStrictEqual } from 'node:util';
import { isLeaving } from '../../api/project/leaving.ts';
import type { ProjectObject, ProjectStatus, StatusReport } from '../../api/project.ts';
import { withTermsOfReport } from './fence-terms.ts';
import { describeLeaving, isStopConfirmed, leave } from './project-move.ts';
import { type Cause, enter, isLost, settle, updating, updatingSecrets } from './project-status.ts';

export interface ReportContext {
  /** RFC 3339 */
  readonly now: string;
  /** whether the Project's node has a record, and is not NotReady */
  readonly isNodeWell: boolean;
}

export type ReportOutcome =
  | { readonly kind: 'changed'; readonly status: ProjectStatus }
  | { readonly kind: 'unchanged' }
  /** all is removed: drop the record */
  | { readonly kind: 'gone' }
  /** `detail` completes "Cannot take the report as ..." */
  | { readonly kind: 'stale'; readonly detail: string };

export function deriveReported(project: ProjectObject, report: StatusReport, context: ReportContext): ReportOutcome {
  const detail = findStaleness(project, report);
  if (detail !== undefined) {
    return { kind: 'stale', detail };
  }
  const isTerminating = project.status.phase === 'Terminating';
  if (isTerminating && report.phase === 'Terminated') {
    return { kind: 'gone' };
  }
  if (isLeaving(project) && isStopConfirmed(project, report)) {
    return { kind: 'changed', status: leave(project, context.now) };
  }
  const { generation } = project.metadata;
  const observed: ProjectStatus = {
    ...project.status,
    // a server restored from a backup may be behind its agents: status never claims a generation newer than spec
    observedGeneration: Math.min(report.observedGeneration ?? generation, generation),
    services: report.services ?? project.status.services,
    ...findGood(project, report),
  };
  const next = isTerminating
    ? { ...observed, ...(report.message !== undefined && { message: report.message }) }
    : derivePhase(project, report, { observed, isNodeWell: context.isNodeWell });
  const isCurrent = report.observedGeneration === generation;
  const status = settle(isCurrent ? withTermsOfReport(next, project.spec) : next, generation, context.now);
  return isDeepStrictEqual(status, project.status) ? { kind: 'unchanged' } : { kind: 'changed', status };
}

/** The newest generation that was good; agents that know nothing of that count as having seen it as soon as all runs. */
function findGood(project: ProjectObject, report: StatusReport): Pick<ProjectStatus, 'goodGeneration'> {
  const { generation } = project.metadata;
  const isUp =
    report.phase === 'Running' && (report.observedGeneration ?? generation) === generation && findUnready(project, report) === undefined;
  const reported = report.goodGeneration ?? (isUp ? generation : 0);
  return reported === 0 ? {} : { goodGeneration: Math.min(reported, generation) };
}

function findStaleness({ metadata, status }: ProjectObject, report: StatusReport): string | undefined {
  if (report.uid !== undefined && report.uid !== metadata.uid) {
    return `it speaks of another Project of that name: report has uid ${report.uid}, current is ${metadata.uid}`;
  }
  if (status.nodeRef === undefined) {
    return `the Project is assigned to no node: current phase is ${status.phase}`;
  }
  if (report.assignment !== undefined && report.assignment !== status.assignment) {
    return `the Project has been assigned anew: report has assignment ${report.assignment}, current is ${status.assignment} on node ${status.nodeRef}`;
  }
  return undefined;
}

interface Observed {
  readonly observed: ProjectStatus;
  readonly isNodeWell: boolean;
}

function derivePhase(project: ProjectObject, report: StatusReport, { observed, isNodeWell }: Observed): ProjectStatus {
  if (isLost(project.status) && !isNodeWell) {
    return observed;
  }
  if (isLeaving(project)) {
    return enter(observed, 'Scheduled', describeLeaving(project, report));
  }
  if (observed.observedGeneration < project.metadata.generation) {
    const progress = report.phase === 'Scheduled' ? messageOf(report) : {}; // Running or Failed speaks of the old spec
    return enter(observed, 'Scheduled', { ...updating(project.metadata.generation), ...progress });
  }
  if (report.secretsRevision !== undefined && report.secretsRevision < (project.status.secretsRevision ?? 0)) {
    const progress = report.phase === 'Scheduled' ? messageOf(report) : {};
    return enter(observed, 'Scheduled', { ...updatingSecrets, ...progress });
  }
  switch (report.phase) {
    case 'Running': {
      const unready = findUnready(project, report);
      return unready === undefined ? enter(observed, 'Running', causeOf(report)) : enter(observed, 'Scheduled', unready);
    }
    case 'Failed':
    case 'Scheduled':
      return enter(observed, report.phase, causeOf(report));
    case 'Terminating':
    case 'Terminated':
      return enter(observed, 'Scheduled', {
        reason: 'Removed',
        message: `The agent reports ${report.phase} though nobody deletes the Project: waiting for it to be brought up again`,
      });
    default:
      return report.phase satisfies never;
  }
}

/** Running is true only when no service contradicts it. A report that lists no services is taken at its word. */
function findUnready({ spec }: ProjectObject, { services }: StatusReport): Cause | undefined {
  if (services === undefined || services.length === 0) {
    return undefined;
  }
  const ready = new Set(services.filter((service) => service.ready).map(({ name }) => name));
  const unready = spec.services.map(({ name }) => name).filter((name) => !ready.has(name));
  return unready.length === 0 ? undefined : { reason: 'ServicesNotReady', message: `Waiting for ${unready.join(', ')}` };
}

function causeOf(report: StatusReport): Partial<Cause> {
  return { ...(report.reason !== undefined && { reason: report.reason }), ...messageOf(report) };
}

function messageOf({ message }: StatusReport): { readonly message?: string } {
  return message === undefined ? {} : { message };
}
