/** The cluster's id: made at the first start, kept in the store ever after; agents label what they run with it. */
import { hasReason } from '../api/errors.ts';
import { API_VERSION } from '../api/meta.ts';
import { nowRfc3339, type Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Store } from '../store/store.ts';

/** Internal: users see it as `clusterId` of /api/v1/version. */
const KIND = 'Cluster';
const NAME = 'cluster';

/** The id, made now when there is none. Several servers on one store agree on it. */
export async function loadClusterId({
  store,
  random,
  clock,
}: {
  readonly store: Store;
  readonly random: Random;
  readonly clock: Clock;
}): Promise<string> {
  const existing = await store.get(KIND, NAME);
  if (existing !== undefined) {
    return existing.metadata.uid;
  }
  const now = nowRfc3339(clock);
  const metadata = { name: NAME, labels: {}, annotations: {}, uid: random.uuid(), generation: 1, createdAt: now, updatedAt: now };
  try {
    await store.commit([{ op: 'create', object: { apiVersion: API_VERSION, kind: KIND, metadata } }]);
    return metadata.uid;
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) {
      throw error;
    }
    return loadClusterId({ store, random, clock });
  }
}
