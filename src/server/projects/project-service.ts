/**
 * Project service: what users and agents do to Projects.
 *
 * Owns     spec, labels and annotations as users write them; of the status, what follows from such a write (the first status, Updating,
 *          Terminating) and what agents report. Nodes are the scheduler's to choose and the project controller's to give up.
 * Never    waits for a loop: each call is one read, one decision, one commit, again when somebody else wrote in between.
 * Callers  http/routes/projects.ts
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import { decodeProjectManifest } from '../../api/manifest.ts';
import type { ProjectApply, ProjectManifest, ProjectObject, StatusReport } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import { type Clock, nowRfc3339 } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store, Write } from '../../store/store.ts';
import type { Admit } from '../auth/admission.ts';
import { applyObject, checkMayCreate, newObject, patchManifest, replaceObject, retryOnConflict } from '../objects/write-object.ts';
import { fillUsedSecrets } from '../secrets/fill-secrets.ts';
import { type ReportOutcome, deriveReported } from './project-phase.ts';
import { initialStatus, isLost, isTerminating, terminate } from './project-status.ts';
import { writesOfRemoval } from './revisions.ts';
import { beingDeleted, commitFirst, getProject, rewriteProject, type RewriteContext } from './rewrite-project.ts';

export interface ProjectServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** undefined: nothing was ever restored */
  readonly epoch?: Epoch | undefined;
}

export interface Applied {
  readonly object: ProjectObject;
  readonly isCreated: boolean;
  readonly isChanged: boolean;
}

/** `admit` is asked before each write, with what is there and what it would become; `by` is who asks, for the history. */
export interface ProjectService {
  /** @throws {ApiError} AlreadyExists; Conflict while one of that name is being deleted */
  create(manifest: ProjectManifest, admit?: Admit): Promise<ProjectObject>;
  /** @throws {ApiError} NotFound; Conflict where the manifest names an older version, or while it is being deleted */
  replace(name: string, manifest: ProjectManifest, admit?: Admit, by?: string): Promise<ProjectObject>;
  /** Creates or changes: labels and annotations merge, spec replaces. @throws {ApiError} Conflict as above */
  apply(manifest: ProjectManifest | ProjectApply, admit?: Admit, by?: string): Promise<Applied>;
  /** RFC 7396. @throws {ApiError} NotFound, Invalid, Conflict as above */
  patch(name: string, mergePatch: unknown, admit?: Admit, by?: string): Promise<ProjectObject>;
  /**
   * Begins deletion; asking again changes nothing. A Project without a node, and any with `force`, is gone at once: its containers, if
   * there are some, are then for their agent to clear away.
   * @throws {ApiError} NotFound
   */
  delete(
    name: string,
    options: { readonly force: boolean; readonly admit?: Admit | undefined },
  ): Promise<{ readonly object: ProjectObject; readonly isGone: boolean }>;
  /**
   * @param reporter the node whose agent it is, where that is known
   * @throws {ApiError} NotFound; StaleAssignment when the report speaks of an assignment that is no more; NotAssigned for another node
   */
  reportStatus(name: string, report: StatusReport, reporter?: string): Promise<void>;
}

export function createProjectService(deps: ProjectServiceDeps): ProjectService {
  const log = deps.log.child({ component: 'project-service' });
  const context: Context = { ...deps, log };
  return {
    create: (manifest, admit) => createProject({ ...context, admit }, manifest),
    replace: async (name, manifest, admit, by) => {
      const decide: Decide = (existing, now) => replaceObject(existing, manifest, now);
      return (await rewriteProject({ ...context, admit, by }, { name, cause: 'replace', decide })).object;
    },
    apply: (manifest, admit, by) => applyProject({ ...context, admit, by }, manifest),
    patch: async (name, mergePatch, admit, by) => {
      const decide: Decide = (existing, now) => replaceObject(existing, patchManifest(existing, mergePatch, decodeProjectManifest), now);
      return (await rewriteProject({ ...context, admit, by }, { name, cause: 'patch', decide })).object;
    },
    delete: (name, { force, admit }) => retryOnConflict(() => deleteProject({ ...context, admit }, name, force ? 'now' : 'orderly')),
    reportStatus: async (name, report, reporter) => {
      checkEpoch(report, context.epoch);
      await retryOnConflict(() => takeReport(context, name, { report, reporter }));
    },
  };
}

type Context = ProjectServiceDeps & Pick<RewriteContext, 'admit' | 'by'>;
type Decide = (existing: ProjectObject, now: string) => ProjectObject;

async function createProject(
  { store, clock, random, log, admit }: Context,
  manifest: ProjectManifest | ProjectApply,
): Promise<ProjectObject> {
  const now = nowRfc3339(clock);
  const { name } = manifest.metadata;
  const { spec, metadata } = manifest;
  const draft = newObject<ProjectObject>({ kind: 'Project', metadata, spec, status: initialStatus(now), uid: random.uuid(), now });
  await admit?.(undefined, draft);
  const object = await fillUsedSecrets(store, draft);
  try {
    const created = await commitFirst(store, [{ op: 'create', object }]);
    log.info({ project: name }, 'project created');
    return created;
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) {
      throw error;
    }
    const existing = await findProject(store, name);
    if (existing !== undefined && isTerminating(existing)) {
      throw beingDeleted(existing);
    }
    throw new ApiError('AlreadyExists', `Cannot create project ${JSON.stringify(name)} as it exists: apply changes it`, { cause: error });
  }
}

/** How often an apply begins anew when the Project appears or goes just then. */
const MAX_APPLY_ATTEMPTS = 8;

async function applyProject(context: Context, manifest: ProjectManifest | ProjectApply): Promise<Applied> {
  const { name } = manifest.metadata;
  const desired = { metadata: manifest.metadata, spec: manifest.spec };
  for (let attempt = 1; ; attempt += 1) {
    const exists = (await findProject(context.store, name)) !== undefined;
    try {
      if (exists) {
        const decide: Decide = (existing, now) => applyObject(existing, desired, now);
        return { ...(await rewriteProject(context, { name, cause: 'apply', decide })), isCreated: false };
      }
      checkMayCreate('Project', manifest.metadata);
      return { object: await createProject(context, manifest), isCreated: true, isChanged: true };
    } catch (error) {
      if (attempt >= MAX_APPLY_ATTEMPTS || !hasReason(error, exists ? 'NotFound' : 'AlreadyExists')) {
        throw error;
      }
    }
  }
}

async function deleteProject({ store, clock, log, admit }: Context, name: string, mode: 'now' | 'orderly') {
  const existing = await getProject(store, name);
  await admit?.(existing, undefined);
  const expectedVersion = existing.metadata.resourceVersion;
  if (mode === 'now' || existing.status.nodeRef === undefined) {
    const object = await commitFirst(store, await writesOfRemoval(store, existing));
    log.info({ project: name, node: existing.status.nodeRef, reason: mode === 'now' ? 'Forced' : 'Unbound' }, 'project dropped');
    return { object, isGone: true };
  }
  if (isTerminating(existing)) {
    return { object: existing, isGone: false };
  }
  const cause = { reason: 'Deleted', message: `Being removed from node ${existing.status.nodeRef}` };
  const object = await commitFirst(store, [{ op: 'update', object: terminate(existing, cause, nowRfc3339(clock)), expectedVersion }]);
  logPhase(log, existing, object);
  return { object, isGone: false };
}

interface Reported {
  readonly report: StatusReport;
  readonly reporter: string | undefined;
}

/** What was assigned before a restore may not be so any more, or not yet again. @throws {ApiError} Conflict, which agents try again */
function checkEpoch(report: StatusReport, epoch: Epoch | undefined): void {
  if (report.epoch !== undefined && report.epoch !== (epoch?.id ?? '')) {
    throw new ApiError(
      'Conflict',
      'Cannot take the report as the control plane was restored since the agent heard of its assignments: list them anew first',
    );
  }
}

async function takeReport({ store, clock, log }: Context, name: string, { report, reporter }: Reported): Promise<void> {
  const existing = await getProject(store, name);
  const now = nowRfc3339(clock);
  const isNodeWell = !isLost(existing.status) || (await isWell(store, existing.status.nodeRef));
  const outcome = deriveReported(existing, report, { now, isNodeWell });
  if (reporter !== undefined && reporter !== existing.status.nodeRef && outcome.kind !== 'stale') {
    throw new ApiError(
      'NotAssigned',
      `Cannot take the report on project ${JSON.stringify(name)} as it is not bound to node ${JSON.stringify(reporter)}`,
    );
  }
  const writes = await writesOf(store, { existing, outcome, now });
  if (writes.length === 0) {
    return;
  }
  const written = await commitFirst(store, writes);
  if (outcome.kind === 'gone') {
    log.info({ project: name, node: existing.status.nodeRef, reason: 'Removed' }, 'project dropped');
  } else {
    logPhase(log, existing, written);
  }
}

async function isWell(store: Store, name = ''): Promise<boolean> {
  const node = await store.get<NodeObject>('Node', name);
  return node !== undefined && node.status.state !== 'NotReady';
}

/** @throws {ApiError} StaleAssignment */
async function writesOf(
  store: Store,
  { existing, outcome, now }: { readonly existing: ProjectObject; readonly outcome: ReportOutcome; readonly now: string },
): Promise<readonly Write[]> {
  const { name, resourceVersion: expectedVersion } = existing.metadata;
  switch (outcome.kind) {
    case 'stale':
      throw new ApiError('StaleAssignment', `Cannot take the report on project ${JSON.stringify(name)} as ${outcome.detail}`);
    case 'unchanged':
      return [];
    case 'gone':
      return writesOfRemoval(store, existing);
    case 'changed': {
      const object = { ...existing, metadata: { ...existing.metadata, updatedAt: now }, status: outcome.status };
      return [{ op: 'update', object, expectedVersion }];
    }
    default:
      return outcome satisfies never;
  }
}

function logPhase(log: Logger, before: ProjectObject, after: ProjectObject): void {
  const { phase, reason, nodeRef } = after.status;
  if (phase !== before.status.phase) {
    log.info({ project: after.metadata.name, node: nodeRef, from: before.status.phase, to: phase, reason }, 'project phase changed');
  }
}

async function findProject(store: Store, name: string): Promise<ProjectObject | undefined> {
  return store.get<ProjectObject>('Project', name);
}
