/**
 * Held projects: what agents run on with after a restore though the restored state does not know it, or not as it is.
 *
 * Owns     the kind HeldProject: what agents reported, until it is taken in or nothing differs any more.
 * Never    stops anything: what is held is its agent's until somebody decides.
 * Callers  http/routes/held-projects.ts
 */
import { ApiError, hasReason } from '../../api/errors.ts';
import type { HeldProject, HeldReport, HeldView } from '../../api/project/held-project.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Epoch } from '../../api/version-report.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store, Write } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { putOver } from '../objects/record.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import { heldName, HELD_KIND, newHeldRecord, type HeldRecord } from './held-record.ts';
import { bindWhereItRuns, isOutdatedBinding, judgeHeld, takeIn } from './judge-held.ts';
import { isDeepStrictEqual } from 'node:util';

/** ms after a restore in which a node's word moves a Project to it. For ever, a node could take from others what it is not given. */
const FOLLOW_FOR_MS = 3_600_000;

export interface HeldServiceDeps {
  readonly store: Store;
  /** undefined: nothing was ever restored */
  readonly epoch: Epoch | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface HeldService {
  /** All that nodes hold, by project and node. */
  list(): Promise<readonly HeldView[]>;
  /** Takes in all that a node holds. @throws {ApiError} NodeDeleted; Conflict when it speaks of another epoch: its agent lists anew first */
  report(node: string, report: HeldReport): Promise<void>;
  /**
   * Makes the Project what its agent has. Nothing that runs changes by it.
   * @throws {ApiError} NotFound; Conflict while the name is another Project's
   */
  adopt(node: string, project: string): Promise<ProjectObject>;
}

export function createHeldService(deps: HeldServiceDeps): HeldService {
  const { store, epoch, clock, random } = deps;
  const log = deps.log.child({ component: 'held-projects' });

  const find = async (name: string): Promise<ProjectObject | undefined> => await store.get<ProjectObject>('Project', name);

  async function recordsOf(node?: string): Promise<readonly HeldRecord[]> {
    const { items } = await store.list<HeldRecord>(HELD_KIND);
    return node === undefined ? items : items.filter((record) => record.node === node);
  }

  async function reportOnce(node: string, projects: readonly HeldProject[]): Promise<void> {
    const now = nowRfc3339(clock);
    const known = new Map((await recordsOf(node)).map((record) => [record.held.metadata.name, record]));
    const writes: Write[] = [];
    for (const held of projects) {
      const { name } = held.metadata;
      const record = known.get(name);
      known.delete(name);
      if (record === undefined) {
        writes.push({ op: 'create', object: newHeldRecord(node, held, { uid: random.uuid(), now }) });
      } else if (!isDeepStrictEqual(record.held, held)) {
        writes.push({
          op: 'update',
          object: { ...record, held } satisfies HeldRecord as HeldRecord,
          expectedVersion: record.metadata.resourceVersion,
        });
      }
    }
    for (const { metadata } of known.values()) {
      writes.push({ op: 'delete', kind: HELD_KIND, name: metadata.name, expectedVersion: metadata.resourceVersion });
    }
    if (writes.length > 0) {
      await store.commit(writes);
      log.info({ node, projects: projects.length }, 'node holds projects');
    }
  }

  /** What has moved after the backup is where it runs, whatever else is decided: or it would be brought up a second time where it was. */
  async function followMove(node: string, held: HeldProject): Promise<void> {
    const { name } = held.metadata;
    if (epoch === undefined || clock.wallMs() - Date.parse(epoch.restoredAt) > FOLLOW_FOR_MS) {
      return;
    }
    await retryOnConflict(async () => {
      const known = await find(name);
      if (known === undefined || !isOutdatedBinding(node, held, { known, base: epoch.assignmentBase })) {
        return;
      }
      const object = bindWhereItRuns(known, { node, held, now: nowRfc3339(clock) });
      await store.commit([{ op: 'update', object, expectedVersion: known.metadata.resourceVersion }]);
      log.info({ project: name, from: known.status.nodeRef, node, assignment: held.assignment }, 'project bound to where it runs');
    });
  }

  async function adoptOnce(node: string, project: string): Promise<ProjectObject> {
    const record = await store.get<HeldRecord>(HELD_KIND, heldName(node, project));
    if (record === undefined) {
      throw new ApiError(
        'NotFound',
        `Cannot adopt project ${JSON.stringify(project)} as node ${JSON.stringify(node)} holds none of that name: see caractrl adopt`,
      );
    }
    const known = await find(project);
    const { held } = record;
    if (known !== undefined && known.metadata.uid !== held.metadata.uid) {
      throw new ApiError(
        'Conflict',
        `Cannot adopt project ${JSON.stringify(project)} as the name is another Project's now, delete that one first: its uid is ${known.metadata.uid}, ${held.metadata.uid} runs on ${node}`,
        { errors: [{ pointer: '/metadata/resourceVersion', detail: 'is of another object' }] },
      );
    }
    const forget: Write = { op: 'delete', kind: HELD_KIND, name: record.metadata.name };
    const object = takeIn(known, { node, held, now: nowRfc3339(clock) });
    const [adopted] = await store.commit([putOver(known, object), forget]);
    log.info({ project, node, uid: held.metadata.uid, assignment: held.assignment }, 'project adopted');
    return adopted as ProjectObject;
  }

  return {
    list: async () => {
      const views = (await recordsOf()).map(async ({ node, held, metadata }): Promise<readonly HeldView[]> => {
        const verdict = judgeHeld(node, held, await find(held.metadata.name));
        const { name, uid } = held.metadata;
        const services = held.spec.services.map((service) => service.name);
        return verdict === undefined ? [] : [{ project: name, node, uid, ...verdict, services, heldSince: metadata.createdAt }];
      });
      return (await Promise.all(views)).flat().toSorted((left, right) => (left.project < right.project ? -1 : 1));
    },
    report: async (node, report) => {
      if ((await store.get('Node', node)) === undefined) {
        throw new ApiError('NodeDeleted', `Cannot take in what node ${JSON.stringify(node)} holds as there is no such node`);
      }
      if (report.epoch !== epoch?.id) {
        throw new ApiError(
          'Conflict',
          'Cannot take in what the node holds as it speaks of another state of the control plane: list anew first',
        );
      }
      await retryOnConflict(() => reportOnce(node, report.projects), ['Conflict', 'AlreadyExists', 'NotFound']);
      for (const held of report.projects) {
        await followMove(node, held);
      }
    },
    adopt: async (node, project) => {
      if ((await store.get('Node', node)) === undefined) {
        throw notFound('node', node);
      }
      return await retryOnConflict(() => adoptOnce(node, project), ['Conflict', 'AlreadyExists']).catch((error: unknown) => {
        throw hasReason(error, 'AlreadyExists') ? new ApiError('Conflict', error.message, { cause: error }) : error;
      });
    },
  };
}
