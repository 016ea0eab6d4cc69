/**
 * Volume controller: ends deletions that nobody ended by their deadline, and drops the records of nodes that were deleted.
 *
 * Owns     the states Cancelled (no agent took it up, and none will) and Failed for want of an answer.
 * Never    says that a volume is gone: that is its agent's word.
 * Callers  start-volumes.ts spawns `run`; the mirrors' changes and the deadlines wake it.
 */
import { hasReason } from '../../api/errors.ts';
import type { NodeObject } from '../../api/node.ts';
import { isBeingDeleted } from '../../api/volume-rules.ts';
import type { VolumeObject } from '../../api/volume.ts';
import { abortable } from '../../base/abortable.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { deletionOf } from '../objects/record.ts';
import { withDeletion } from './volume-record.ts';
import { listOfNode } from './volume-service.ts';

const RETRY_MS = 1_000; // the store does not answer, or somebody wrote in between
const ANSWER_MS = 5_000; // for the answer of an agent that ended at the deadline

export interface VolumeControllerDeps {
  readonly store: Store;
  readonly nodes: Mirror<NodeObject>;
  readonly volumes: Mirror<VolumeObject>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface VolumeController {
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<void>;
}

export function createVolumeController(deps: VolumeControllerDeps): VolumeController {
  const log = deps.log.child({ component: 'volume-controller' });
  return { run: (signal) => runController({ ...deps, log }, signal) };
}

async function runController(deps: VolumeControllerDeps, signal: AbortSignal): Promise<void> {
  const { nodes, volumes, clock } = deps;
  await abortable(Promise.all([nodes.ready(), volumes.ready()]), signal);
  const wakeup = new Wakeup();
  const open = new Set<string>(); // names of the records with a deletion that goes on
  const goneNodes = new Set<string>();
  const note = (volume: VolumeObject, isThere: boolean): void => {
    const isOpen = isThere && isBeingDeleted(volume);
    if (isOpen !== open.has(volume.metadata.name)) {
      open[isOpen ? 'add' : 'delete'](volume.metadata.name);
      wakeup.notify();
    }
    if (isThere && nodes.get(volume.status.node) === undefined) {
      goneNodes.add(volume.status.node);
      wakeup.notify();
    }
  };
  const unsubscribers = [
    volumes.onChange(({ type, object }) => note(object, type !== 'DELETED')),
    nodes.onChange(({ type, object }) => {
      if (type === 'DELETED') {
        goneNodes.add(object.metadata.name);
        wakeup.notify();
      }
    }),
  ];
  volumes.items().forEach((volume) => note(volume, true));
  try {
    for (;;) {
      const dueMs = await judge(deps, open, goneNodes);
      await wakeup.wait(clock, dueMs, signal);
    }
  } finally {
    unsubscribers.forEach((unsubscribe) => unsubscribe());
  }
}

/** @returns ms until the next look */
async function judge(deps: VolumeControllerDeps, open: ReadonlySet<string>, goneNodes: Set<string>): Promise<number> {
  const { volumes, clock } = deps;
  let nextMs = Infinity;
  for (const node of goneNodes) {
    if (await settled(deps, () => dropOfNode(deps, node))) {
      goneNodes.delete(node);
    } else {
      nextMs = RETRY_MS;
    }
  }
  for (const name of open) {
    const volume = volumes.get(name);
    const deletion = volume?.status.deletion;
    if (volume === undefined || deletion === undefined) {
      continue;
    }
    const leftMs = Date.parse(deletion.deadline) + (deletion.state === 'Removing' ? ANSWER_MS : 0) - clock.wallMs();
    if (leftMs > 0) {
      nextMs = Math.min(nextMs, leftMs);
    } else if (!(await settled(deps, () => giveUp(deps, volume)))) {
      nextMs = Math.min(nextMs, RETRY_MS);
    }
  }
  return nextMs;
}

async function giveUp({ store, clock, log }: VolumeControllerDeps, volume: VolumeObject): Promise<void> {
  const { node, name, deletion } = volume.status;
  const hasBegun = deletion?.state === 'Removing';
  const message = hasBegun
    ? `The agent of ${node} began and did not say how it ended: the volume is gone once the node reports that it is, and stays otherwise`
    : `The agent of ${node} did not take it up in time, and will not any more: the volume stays`;
  await store.commit([withDeletion(volume, { state: hasBegun ? 'Failed' : 'Cancelled', message }, nowRfc3339(clock))]);
  log.warn({ node, volume: name, deletion: deletion?.id, hasBegun }, 'deletion of volume given up');
}

/** A node that was deleted tells of its volumes anew when it registers. */
async function dropOfNode({ store, nodes, log }: VolumeControllerDeps, node: string): Promise<void> {
  if (nodes.get(node) !== undefined) {
    return; // made anew since
  }
  const records = await listOfNode(store, node);
  if (records.length > 0) {
    await store.commit([{ op: 'check', kind: 'Node', name: node, expectedVersion: undefined }, ...records.map(deletionOf)]);
    log.info({ node, volumes: records.length }, 'volumes of a deleted node forgotten');
  }
}

/** @returns false where it has to be tried again */
async function settled({ log }: VolumeControllerDeps, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (!hasReason(error, 'Conflict', 'NotFound', 'Unavailable')) {
      throw error;
    }
    log.debug({ reason: error.reason }, 'records of volumes not written, tries again');
    return false;
  }
}
