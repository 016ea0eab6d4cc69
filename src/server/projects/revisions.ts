/**
 * Revisions: the specs that a Project had before, as records of the store, and what they look like to users: pure but for the reading.
 *
 * The spec of now is in the Project itself. When it changes, the one before becomes a record in the same commit, and never changes again:
 * the last nine are kept, and the last good one. They go with the Project, in the commit that removes it. Secrets stand in a spec by name
 * alone, so no value of one is ever here.
 * Callers  rewrite-project.ts, project-service.ts, project-controller.ts, rollout-service.ts
 */
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../api/meta.ts';
import type { ProjectObject, ProjectSpec } from '../../api/project.ts';
import type { ProjectRevision, RevisionOutcome } from '../../api/project/revision.ts';
import type { Store, StoredObject, Write } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

const REVISION_KIND = 'ProjectRevision';
const KEPT = 9; // with the spec of now the last ten

/** A spec of before, as it is stored. */
interface StoredRevision extends StoredObject {
  readonly revision: number;
  readonly cause: string;
  readonly outcome: RevisionOutcome;
  readonly message?: string;
  readonly spec: ProjectSpec;
}

export const ROLLED_BACK = 'RolledBack'; // as agents report it

/** Project names have no slash, so that all of one Project stand together, in the order of their numbers. */
function prefixOf(project: string): string {
  return `${project}/`;
}

function recordName(project: string, revision: number): string {
  return `${prefixOf(project)}${String(revision).padStart(12, '0')}`;
}

async function listStored(store: Pick<Store, 'list'>, project: string): Promise<readonly StoredRevision[]> {
  const { items } = await store.list<StoredRevision>(REVISION_KIND, { after: prefixOf(project), limit: KEPT + 2 });
  return items.filter(({ metadata }) => metadata.name.startsWith(prefixOf(project)));
}

/** What became of the spec of now. */
function outcomeOf({ metadata, status }: ProjectObject): Pick<StoredRevision, 'outcome' | 'message'> {
  const { generation } = metadata;
  if (findRunning({ metadata, status }) === generation && status.reason !== ROLLED_BACK) {
    return { outcome: 'Good' };
  }
  const isCurrent = status.observedGeneration === generation && status.phase === 'Failed';
  const message = status.message === undefined ? {} : { message: status.message };
  if (isCurrent) {
    return { outcome: status.reason === ROLLED_BACK ? 'RolledBack' : 'Failed', ...message };
  }
  return { outcome: 'Progressing' };
}

/** The generation whose services run: that of now as soon as it is up, though it is called good only when it has been for a while. */
function findRunning({ metadata, status }: Pick<ProjectObject, 'metadata' | 'status'>): number | undefined {
  const isUp = status.phase === 'Running' && status.observedGeneration === metadata.generation;
  return isUp ? metadata.generation : status.goodGeneration;
}

/** Keeps the spec of `before`, which is about to be replaced. */
export async function writesOfArchive(store: Pick<Store, 'list'>, before: ProjectObject): Promise<readonly Write[]> {
  const { name, generation } = before.metadata;
  const kept = await listStored(store, name);
  const { at, cause } = changeOf(before);
  const { outcome, message } = outcomeOf(before);
  const metadata = newMeta(recordName(name, generation), before.metadata.uid, at);
  const object = {
    apiVersion: API_VERSION,
    kind: REVISION_KIND,
    metadata,
    revision: generation,
    cause,
    outcome: outcome === 'Progressing' ? ('Superseded' as const) : outcome,
    ...(message !== undefined && { message }),
    spec: before.spec,
  };
  const dropped = chooseDropped([...kept, object]);
  return [{ op: 'create', object }, ...dropped.map(deleteOf)];
}

/** Which go where there are too many: first those whose spec a newer one has too, then the oldest; never the newest good one. */
function chooseDropped<Item extends Pick<StoredRevision, 'outcome' | 'spec'>>(oldestFirst: readonly Item[]): readonly Item[] {
  const good = oldestFirst.findLast(({ outcome }) => outcome === 'Good');
  const droppable = oldestFirst.filter((item) => item !== good);
  const repeated = droppable.filter((item, index) => droppable.slice(index + 1).some((newer) => isDeepStrictEqual(newer.spec, item.spec)));
  const order = [...repeated, ...droppable.filter((item) => !repeated.includes(item))];
  return order.slice(0, Math.max(0, oldestFirst.length - KEPT));
}

/** What removes a Project and all that is kept of it. */
export async function writesOfRemoval(store: Pick<Store, 'list'>, { metadata }: ProjectObject): Promise<readonly Write[]> {
  const { name, resourceVersion: expectedVersion } = metadata;
  const kept = await listStored(store, name);
  return [{ op: 'delete', kind: 'Project', name, expectedVersion }, ...kept.map(deleteOf)];
}

function deleteOf({ metadata }: { readonly metadata: { readonly name: string } }): Write {
  return { op: 'delete', kind: REVISION_KIND, name: metadata.name };
}

/** How the spec of now came about. */
function changeOf({ metadata, status }: ProjectObject): { readonly at: string; readonly cause: string } {
  return status.change ?? { at: metadata.createdAt, cause: 'create' };
}

/** Every spec that is known of, oldest first; the last is that of now. */
export async function listRevisions(store: Pick<Store, 'list'>, project: ProjectObject): Promise<readonly ProjectRevision[]> {
  const { name, generation } = project.metadata;
  const running = findRunning(project);
  const head = { apiVersion: API_VERSION, kind: 'ProjectRevision', project: name } as const;
  const before = (await listStored(store, name)).map(({ metadata, revision, cause, outcome, message, spec }): ProjectRevision => ({
    ...head,
    revision,
    createdAt: metadata.createdAt,
    cause,
    outcome,
    ...(message !== undefined && { message }),
    isCurrent: false,
    isRunning: revision === running,
    spec,
  }));
  const { at, cause } = changeOf(project);
  const current = { createdAt: at, cause, ...outcomeOf(project), isCurrent: true, isRunning: generation === running };
  return [...before, { ...head, revision: generation, ...current, spec: project.spec }];
}
