/** A change of a Project by a user: read, decide, commit, again when somebody else wrote in between. Callers: project-service.ts, rollout-service.ts */
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import { type Clock, nowRfc3339 } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Store, StoredObject, Write } from '../../store/store.ts';
import type { Admit } from '../auth/admission.ts';
import { notFound } from '../objects/not-found.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import { fillUsedSecrets } from '../secrets/fill-secrets.ts';
import { isTerminating, markUpdating } from './project-status.ts';
import { writesOfArchive } from './revisions.ts';

export interface RewriteContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly admit?: Admit | undefined;
  /** who asks, where that is known */
  readonly by?: string | undefined;
}

export interface Change {
  readonly name: string;
  /** for the history, such as "apply" */
  readonly cause: string | ((decided: ProjectObject) => string);
  /** the same object back means that nothing changes */
  readonly decide: (existing: ProjectObject, now: string) => ProjectObject | Promise<ProjectObject>;
}

/** @throws {ApiError} NotFound; Conflict while it is being deleted; and what `decide` throws */
export async function rewriteProject(
  context: RewriteContext,
  change: Change,
): Promise<{ readonly object: ProjectObject; readonly isChanged: boolean }> {
  const outcome = await retryOnConflict(() => attempt(context, change));
  if (outcome.isRefused) {
    throw beingDeleted(outcome.object); // here, as a Conflict thrown in there would be tried again in vain
  }
  return outcome;
}

interface Attempt {
  readonly object: ProjectObject;
  readonly isChanged: boolean;
  readonly isRefused: boolean;
}

async function attempt({ store, clock, log, admit, by }: RewriteContext, { name, cause, decide }: Change): Promise<Attempt> {
  const existing = await getProject(store, name);
  await admit?.(existing, existing);
  if (isTerminating(existing)) {
    return { object: existing, isRefused: true, isChanged: false };
  }
  const now = nowRfc3339(clock);
  const decided = await decide(existing, now);
  if (decided === existing) {
    return { object: existing, isRefused: false, isChanged: false };
  }
  await admit?.(existing, decided);
  const expectedVersion = existing.metadata.resourceVersion;
  const { generation } = decided.metadata;
  if (generation === existing.metadata.generation) {
    const object = await commitFirst(store, [{ op: 'update', object: decided, expectedVersion }]);
    return { object, isRefused: false, isChanged: true };
  }
  const what = typeof cause === 'string' ? cause : cause(decided);
  const changed = { ...decided.status, change: { at: now, cause: by === undefined ? what : `${what} by ${by}` } };
  const draft = await fillUsedSecrets(store, { ...decided, status: markUpdating({ ...decided, status: changed }, now) });
  const object = await commitFirst(store, [{ op: 'update', object: draft, expectedVersion }, ...(await writesOfArchive(store, existing))]);
  log.info({ project: name, generation, cause: what }, 'project spec changed');
  return { object, isRefused: false, isChanged: true };
}

/** Commits, and returns the object of the first write as stored. */
export async function commitFirst(store: Pick<Store, 'commit'>, writes: readonly Write[]): Promise<ProjectObject> {
  const [object]: readonly (StoredObject | undefined)[] = await store.commit(writes);
  return object as ProjectObject;
}

/** @throws {ApiError} NotFound */
export async function getProject(store: Pick<Store, 'get'>, name: string): Promise<ProjectObject> {
  const project = await store.get<ProjectObject>('Project', name);
  if (project === undefined) {
    throw notFound('project', name);
  }
  return project;
}

export function beingDeleted({ metadata, status }: ProjectObject): ApiError {
  const where = status.nodeRef === undefined ? '' : ` on node ${status.nodeRef}`;
  return new ApiError(
    'Conflict',
    `Cannot write project ${JSON.stringify(metadata.name)} as it is being deleted: wait until it is gone${where}, or delete it with --force; deleted at ${metadata.deletedAt ?? 'an unknown time'}`,
  );
}
