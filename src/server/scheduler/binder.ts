/**
 * Binder: writes what the scheduler decided, each decision in a commit of its own, so that a Project that cannot be written holds up
 * no other; the store groups concurrent commits.
 *
 * Never    binds to a node that has changed since it was looked at: the commit checks the node's version, so that no Project lands on a
 *          node that was cordoned in between.
 * Callers  scheduler.ts
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject, ProjectStatus } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { TimeTexts } from '../../base/time-texts.ts';
import type { Store, Write } from '../../store/store.ts';
import { bind, markUnschedulable } from '../projects/project-status.ts';

export type WriteOutcome =
  | { readonly kind: 'written'; readonly project: ProjectObject }
  /** somebody else wrote the Project or the node in between: look again */
  | { readonly kind: 'conflict' }
  /** the store cannot write now, or something is wrong with this Project: look again later */
  | { readonly kind: 'failed' };

export interface Binder {
  bind(project: ProjectObject, node: NodeObject): Promise<WriteOutcome>;
  /** Says why no node takes it; writes only when that is news. */
  explain(project: ProjectObject, message: string): Promise<WriteOutcome>;
}

interface BinderDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** as SchedulerDeps */
  readonly assignmentBase?: number;
}

export function createBinder({ store, clock, log, assignmentBase = 0 }: BinderDeps): Binder {
  /** Projects whose last write failed: a failure is logged when it starts, not each time it is tried again */
  const failing = new Set<string>();
  const times = new TimeTexts();

  const write = async (
    project: ProjectObject,
    { status, now, checks }: { readonly status: ProjectStatus; readonly now: string; readonly checks: readonly Write[] },
  ): Promise<WriteOutcome> => {
    const { name, resourceVersion } = project.metadata;
    const object = { ...project, metadata: { ...project.metadata, updatedAt: now }, status };
    try {
      const results = await store.commit([...checks, { op: 'update', object, expectedVersion: resourceVersion }]);
      failing.delete(name);
      return { kind: 'written', project: results.at(-1) as ProjectObject };
    } catch (error) {
      if (hasReason(error, 'Conflict', 'NotFound')) {
        return { kind: 'conflict' };
      }
      if (!failing.has(name)) {
        failing.add(name);
        log[error instanceof ApiError ? 'warn' : 'error']({ err: error, project: name }, 'project cannot be written');
      }
      return { kind: 'failed' };
    }
  };

  return {
    bind: (project, node) => {
      const { name, resourceVersion } = node.metadata;
      const { status } = project;
      const numbered = status.assignment >= assignmentBase ? project : { ...project, status: { ...status, assignment: assignmentBase } };
      const now = times.write(clock.wallMs());
      return write(project, {
        status: bind(numbered, name, now),
        now,
        checks: [{ op: 'check', kind: 'Node', name, expectedVersion: resourceVersion }],
      });
    },
    explain: async (project, message) => {
      const { status } = project;
      if (status.reason === 'Unschedulable' && status.message === message) {
        return { kind: 'written', project };
      }
      if (status.reason !== 'Unschedulable') {
        log.info({ project: project.metadata.name, reason: message }, 'project unschedulable');
      }
      const now = times.write(clock.wallMs());
      return write(project, { status: markUnschedulable(project, message, now), now, checks: [] });
    },
  };
}
