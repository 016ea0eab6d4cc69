/**
 * The cluster's record: its id, made at the first start and kept ever after (agents label what they run with it), and since when the
 * state is one that was restored.
 *
 * Callers  composition.ts; backup/restore.ts writes the epoch.
 */
import { hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import type { Epoch } from '../../api/version-report.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

/** Internal: users see it in /api/v1/version. */
export const CLUSTER_KIND = 'Cluster';
export const CLUSTER_NAME = 'cluster';

export interface ClusterRecord extends StoredObject {
  /** absent: nothing was ever restored */
  readonly epoch?: Epoch;
}

export interface Cluster {
  readonly id: string;
  readonly epoch: Epoch | undefined;
}

interface ClusterDeps {
  readonly store: Store;
  readonly random: Random;
  readonly clock: Clock;
}

/** What the store says, made now when it says nothing. Several servers on one store agree on it. */
export async function loadCluster(deps: ClusterDeps): Promise<Cluster> {
  const { store } = deps;
  const existing = await store.get<ClusterRecord>(CLUSTER_KIND, CLUSTER_NAME);
  if (existing !== undefined) {
    return { id: existing.metadata.uid, epoch: existing.epoch };
  }
  const object = newClusterRecord(deps.random.uuid(), nowRfc3339(deps.clock));
  try {
    await store.commit([{ op: 'create', object }]);
    return { id: object.metadata.uid, epoch: undefined };
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) {
      throw error;
    }
    return loadCluster(deps);
  }
}

export function newClusterRecord(uid: string, now: string): Draft<ClusterRecord> {
  return { apiVersion: API_VERSION, kind: CLUSTER_KIND, metadata: newMeta(CLUSTER_NAME, uid, now) };
}
