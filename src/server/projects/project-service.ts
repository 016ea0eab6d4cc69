/**
 * Project service: what users and agents do to Projects.
 *
 * Owns     spec, labels and annotations as users write them; of the status, what follows from such a write (the first status, Updating,
 *          Terminating) and what agents report. Nodes are the scheduler's to choose and the project controller's to give up.
 * Never    waits for a loop: each call is one read, one decision, one commit, again when somebody else wrote in between.
 * Callers  http/routes/projects.ts
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import { decodeProjectManifest } from '../../api/manifest.ts';
import type { ProjectApply, ProjectManifest, ProjectObject, StatusReport } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import { type Clock, nowRfc3339 } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store, Write } from '../../store/store.ts';
import type { Admit } from '../auth/admission.ts';
import { notFound } from '../objects/not-found.ts';
import { applyObject, checkMayCreate, newObject, patchManifest, replaceObject, retryOnConflict } from '../objects/write-object.ts';
import { fillUsedSecrets } from '../secrets/fill-secrets.ts';
import { type ReportOutcome, deriveReported } from './project-phase.ts';
import { initialStatus, isLost, isTerminating, markUpdating, terminate } from './project-status.ts';

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

/** `admit` is asked before each write, with what is there and what it would become. */
export interface ProjectService {
  /** @throws {ApiError} AlreadyExists; Conflict while one of that name is being deleted */
  create(manifest: ProjectManifest, admit?: Admit): Promise<ProjectObject>;
  /** @throws {ApiError} NotFound; Conflict where the manifest names an older version, or while it is being deleted */
  replace(name: string, manifest: ProjectManifest, admit?: Admit): Promise<ProjectObject>;
  /** Creates or changes: labels and annotations merge, spec replaces. @throws {ApiError} Conflict as above */
  apply(manifest: ProjectManifest | ProjectApply, admit?: Admit): Promise<Applied>;
  /** RFC 7396. @throws {ApiError} NotFound, Invalid, Conflict as above */
  patch(name: string, mergePatch: unknown, admit?: Admit): Promise<ProjectObject>;
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
    replace: async (name, manifest, admit) =>
      (await rewrite({ ...context, admit }, name, (existing, now) => replaceObject(existing, manifest, now))).object,
    apply: (manifest, admit) => applyProject({ ...context, admit }, manifest),
    patch: async (name, mergePatch, admit) =>
      (
        await rewrite({ ...context, admit }, name, (existing, now) =>
          replaceObject(existing, patchManifest(existing, mergePatch, decodeProjectManifest), now),
        )
      ).object,
    delete: (name, { force, admit }) => retryOnConflict(() => deleteProject({ ...context, admit }, name, force ? 'now' : 'orderly')),
    reportStatus: async (name, report, reporter) => {
      checkEpoch(report, context.epoch);
      await retryOnConflict(() => takeReport(context, name, { report, reporter }));
    },
  };
}

type Context = ProjectServiceDeps & { readonly admit?: Admit | undefined };

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
    const created = await commitOne(store, { op: 'create', object });
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
        return { ...(await rewrite(context, name, (existing, now) => applyObject(existing, desired, now))), isCreated: false };
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

/** Replaces a Project by what `decide` makes of it; the same object back means that nothing changes. */
async function rewrite(
  context: Context,
  name: string,
  decide: (existing: ProjectObject, now: string) => ProjectObject,
): Promise<{ readonly object: ProjectObject; readonly isChanged: boolean }> {
  const { store, clock, log, admit } = context;
  const outcome = await retryOnConflict(async () => {
    const existing = await getProject(store, name);
    await admit?.(existing, existing);
    if (isTerminating(existing)) {
      return { object: existing, isRefused: true, isChanged: false };
    }
    const now = nowRfc3339(clock);
    const decided = decide(existing, now);
    if (decided === existing) {
      return { object: existing, isRefused: false, isChanged: false };
    }
    await admit?.(existing, decided);
    const { generation } = decided.metadata;
    const isNewSpec = generation !== existing.metadata.generation;
    const draft = isNewSpec ? await fillUsedSecrets(store, { ...decided, status: markUpdating(decided, now) }) : decided;
    const object = await commitOne(store, { op: 'update', object: draft, expectedVersion: existing.metadata.resourceVersion });
    if (isNewSpec) {
      log.info({ project: name, generation }, 'project spec changed');
    }
    return { object, isRefused: false, isChanged: true };
  });
  if (outcome.isRefused) {
    throw beingDeleted(outcome.object); // here, as a Conflict thrown above would be tried again in vain
  }
  return outcome;
}

async function deleteProject({ store, clock, log, admit }: Context, name: string, mode: 'now' | 'orderly') {
  const existing = await getProject(store, name);
  await admit?.(existing, undefined);
  const expectedVersion = existing.metadata.resourceVersion;
  if (mode === 'now' || existing.status.nodeRef === undefined) {
    const object = await commitOne(store, { op: 'delete', kind: 'Project', name, expectedVersion });
    log.info({ project: name, node: existing.status.nodeRef, reason: mode === 'now' ? 'Forced' : 'Unbound' }, 'project dropped');
    return { object, isGone: true };
  }
  if (isTerminating(existing)) {
    return { object: existing, isGone: false };
  }
  const cause = { reason: 'Deleted', message: `Being removed from node ${existing.status.nodeRef}` };
  const object = await commitOne(store, { op: 'update', object: terminate(existing, cause, nowRfc3339(clock)), expectedVersion });
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
  const isNodeKnown = !isLost(existing.status) || (await store.get('Node', existing.status.nodeRef ?? '')) !== undefined;
  const outcome = deriveReported(existing, report, { now, isNodeKnown });
  if (reporter !== undefined && reporter !== existing.status.nodeRef && outcome.kind !== 'stale') {
    throw new ApiError(
      'NotAssigned',
      `Cannot take the report on project ${JSON.stringify(name)} as it is not bound to node ${JSON.stringify(reporter)}`,
    );
  }
  const write = writeOf(existing, outcome, now);
  if (write === undefined) {
    return;
  }
  const written = await commitOne(store, write);
  if (outcome.kind === 'gone') {
    log.info({ project: name, node: existing.status.nodeRef, reason: 'Removed' }, 'project dropped');
  } else {
    logPhase(log, existing, written);
  }
}

/** @throws {ApiError} StaleAssignment */
function writeOf(existing: ProjectObject, outcome: ReportOutcome, now: string): Write | undefined {
  const { name, resourceVersion: expectedVersion } = existing.metadata;
  switch (outcome.kind) {
    case 'stale':
      throw new ApiError('StaleAssignment', `Cannot take the report on project ${JSON.stringify(name)} as ${outcome.detail}`);
    case 'unchanged':
      return undefined;
    case 'gone':
      return { op: 'delete', kind: 'Project', name, expectedVersion };
    case 'changed': {
      const object = { ...existing, metadata: { ...existing.metadata, updatedAt: now }, status: outcome.status };
      return { op: 'update', object, expectedVersion };
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

async function getProject(store: Store, name: string): Promise<ProjectObject> {
  const project = await findProject(store, name);
  if (project === undefined) {
    throw notFound('project', name);
  }
  return project;
}

/** Commits one write and returns the object as stored. */
async function commitOne(store: Store, write: Write): Promise<ProjectObject> {
  const [object] = await store.commit([write]);
  return object as ProjectObject;
}

function beingDeleted({ metadata, status }: ProjectObject): ApiError {
  const where = status.nodeRef === undefined ? '' : ` on node ${status.nodeRef}`;
  return new ApiError(
    'Conflict',
    `Cannot write project ${JSON.stringify(metadata.name)} as it is being deleted: wait until it is gone${where}, or delete it with --force; deleted at ${metadata.deletedAt ?? 'an unknown time'}`,
  );
}
