/**
 * Volume service: what volumes there are on the nodes, and their deletion, which a person asks for and an agent carries out.
 *
 * Owns     the kind Volume, with volume-controller.ts, which ends deletions at their deadlines.
 * Never    asks for the deletion of what a Project uses; never lets an agent begin one that has been given up.
 * Callers  http/routes/volumes.ts
 */
import { ApiError } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { findCondition } from '../../api/condition.ts';
import { isBeingDeleted } from '../../api/volume-rules.ts';
import type { DeletionGrant, DeletionUpdate, VolumeObject, VolumeReport } from '../../api/volume.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store, Write } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { deletionOf } from '../objects/record.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import { findUse, recordName, updateOf, VOLUME_KIND, withDeletion, writesOfReport } from './volume-record.ts';

/** ms; for the agent to hear of it, and the engine to do it. */
const DELETION_TIMEOUT_MS = 60_000;
const PAGE_SIZE = 500;

export interface VolumeServiceDeps {
  readonly store: Store;
  readonly projects: Pick<Mirror<ProjectObject>, 'get'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface VolumeService {
  /** The Volume as users see it. */
  present(volume: VolumeObject): VolumeObject;
  /** @throws {ApiError} NotFound */
  get(node: string, name: string): Promise<VolumeObject>;
  /** Takes in all volumes of a node. @throws {ApiError} NotFound for a node without a record */
  report(node: string, report: VolumeReport): Promise<void>;
  /** Asks for a deletion; one that goes on already stays the one. @throws {ApiError} NotFound, InUse, NodeNotReady */
  requestDeletion(node: string, name: string): Promise<VolumeObject>;
  /**
   * Takes in what the node's agent says of a deletion. @returns for how long it may go on, where it is to begin
   * @throws {ApiError} NotFound; InUse; Conflict where that deletion is over or another
   */
  updateDeletion(node: string, name: string, update: DeletionUpdate): Promise<DeletionGrant | undefined>;
}

export function createVolumeService(deps: VolumeServiceDeps): VolumeService {
  const context = { ...deps, log: deps.log.child({ component: 'volume-service' }) };
  return {
    present: (volume) => ({ ...volume, status: { ...volume.status, inUse: findUse(volume, projectOf(deps, volume)) !== undefined } }),
    get: (node, name) => getVolume(deps, node, name),
    report: (node, report) => retryOnConflict(() => takeReport(context, node, report), ['Conflict', 'AlreadyExists', 'NotFound']),
    requestDeletion: (node, name) => retryOnConflict(() => requestDeletion(context, node, name)),
    updateDeletion: (node, name, update) => retryOnConflict(() => updateDeletion(context, { node, name, update })),
  };
}

function projectOf({ projects }: Pick<VolumeServiceDeps, 'projects'>, { status }: VolumeObject): ProjectObject | undefined {
  return projects.get(status.project);
}

async function getVolume({ store }: VolumeServiceDeps, node: string, name: string): Promise<VolumeObject> {
  const volume = await store.get<VolumeObject>(VOLUME_KIND, recordName(node, name));
  if (volume === undefined) {
    throw notFound('volume', recordName(node, name));
  }
  return volume;
}

/** The records of one node, whatever the size of the fleet. */
export async function listOfNode(store: Store, node: string): Promise<readonly VolumeObject[]> {
  const prefix = recordName(node, '');
  const found: VolumeObject[] = [];
  let after = prefix;
  for (;;) {
    const { items } = await store.list<VolumeObject>(VOLUME_KIND, { after, limit: PAGE_SIZE });
    const own = items.filter(({ metadata }) => metadata.name.startsWith(prefix));
    found.push(...own);
    if (own.length < PAGE_SIZE) {
      return found;
    }
    after = own.at(-1)?.metadata.name ?? after;
  }
}

async function takeReport({ store, clock, random, log }: VolumeServiceDeps, node: string, report: VolumeReport): Promise<void> {
  const record = await store.get('Node', node);
  if (record === undefined) {
    throw new ApiError(
      'NodeDeleted',
      `Cannot take the volumes of node ${JSON.stringify(node)} as there is no such node: register it first`,
    );
  }
  const existing = await listOfNode(store, node);
  const stamp = { now: nowRfc3339(clock), newUid: () => random.uuid() };
  const writes = writesOfReport(node, { existing, reported: report.volumes }, stamp);
  if (writes.length > 0) {
    await store.commit(writes);
    log.info({ node, volumes: report.volumes.length, changes: writes.length }, 'volumes of node changed');
  }
}

async function requestDeletion(deps: VolumeServiceDeps, node: string, name: string): Promise<VolumeObject> {
  const { store, clock, random, log } = deps;
  const volume = await getVolume(deps, node, name);
  if (isBeingDeleted(volume)) {
    return volume;
  }
  const unused = await checkUse(deps, volume);
  checkNode(await store.get<NodeObject>('Node', node), volume);
  const now = nowRfc3339(clock);
  const deadline = new Date(clock.wallMs() + DELETION_TIMEOUT_MS).toISOString();
  const { deletion: _past, ...status } = volume.status;
  const deletion = { id: random.uuid(), state: 'Pending' as const, requestedAt: now, deadline };
  const [stored] = await store.commit([updateOf(volume, { ...status, deletion }, now), unused]);
  log.info({ node, volume: name, deletion: deletion.id }, 'volume is to be deleted');
  return stored as VolumeObject;
}

/**
 * Asks the store and not the mirror, which may be behind: somebody may just have applied the Project.
 * @returns what makes a commit fail where somebody applies it now
 * @throws {ApiError} InUse
 */
async function checkUse({ store }: VolumeServiceDeps, volume: VolumeObject): Promise<Write> {
  const { status } = volume;
  const project = await store.get<ProjectObject>('Project', status.project);
  const use = findUse(volume, project);
  if (use !== undefined) {
    const where = use === 'on the node' ? `is on ${status.node}` : `has no node yet and may come to ${status.node}`;
    throw new ApiError(
      'InUse',
      `Cannot delete volume ${JSON.stringify(status.name)} on ${status.node} as project ${JSON.stringify(status.project)} uses it, which ${where}: delete the project first, or take the volume out of its spec`,
    );
  }
  return { op: 'check', kind: 'Project', name: status.project, expectedVersion: project?.metadata.resourceVersion };
}

/** @throws {ApiError} NodeNotReady: the user is to decide anew when it is back, not to be surprised then */
function checkNode(node: NodeObject | undefined, { status }: VolumeObject): void {
  const ready = node && findCondition(node.status.conditions, 'Ready');
  if (node === undefined || node.status.state === 'NotReady') {
    const since = ready === undefined ? '' : ` since ${ready.lastTransitionTime}`;
    const why = node === undefined ? 'has no record' : `is NotReady${since}`;
    throw new ApiError(
      'NodeNotReady',
      `Cannot delete volume ${JSON.stringify(status.name)} on ${status.node} as the node ${why}, and only its agent can: nothing was asked for, try again when the node is back`,
    );
  }
}

interface Told {
  readonly node: string;
  readonly name: string;
  readonly update: DeletionUpdate;
}

async function updateDeletion(deps: VolumeServiceDeps, { node, name, update }: Told): Promise<DeletionGrant | undefined> {
  const { store, clock, log } = deps;
  const volume = await getVolume(deps, node, name);
  const { deletion } = volume.status;
  const isOpen = deletion?.id === update.id && isBeingDeleted(volume);
  const now = nowRfc3339(clock);
  if (update.state === 'Done' && deletion?.id === update.id) {
    await store.commit([deletionOf(volume)]); // it is gone, however late its agent says so
    log.info({ node, volume: name, deletion: update.id }, 'volume deleted');
    return undefined;
  }
  const leftMs = isOpen ? Date.parse(deletion.deadline) - clock.wallMs() : 0;
  if (!isOpen || (update.state === 'Removing' && leftMs <= 0)) {
    throw new ApiError('InUse', `Cannot go on deleting volume ${JSON.stringify(name)} as that request is over`);
  }
  if (update.state === 'Removing') {
    if (deletion.state === 'Pending') {
      const unused = await checkUse(deps, volume);
      await store.commit([withDeletion(volume, { state: 'Removing' }, now), unused]);
    }
    return { leftMs };
  }
  await store.commit([withDeletion(volume, { state: 'Failed', message: update.message ?? 'The agent did not say why' }, now)]);
  log.warn({ node, volume: name, deletion: update.id, detail: update.message }, 'volume not deleted');
  return undefined;
}
