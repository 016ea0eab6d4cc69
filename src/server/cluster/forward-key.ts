/** The key by which the servers of a cluster know each other's forwarded requests: made by the first, kept in the store. */
import { hasReason } from '../../api/errors.ts';
import { API_VERSION } from '../../api/meta.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, StoredObject } from '../../store/store.ts';
import { newMeta } from '../objects/record.ts';

/** Internal: users do not see it. */
const KIND = 'ForwardKey';
const NAME = 'forward-key';

interface ForwardKey extends StoredObject {
  readonly kind: typeof KIND;
  readonly key: string;
}

/** @throws {ApiError} Unavailable */
export async function loadForwardKey(deps: { readonly store: Store; readonly random: Random; readonly clock: Clock }): Promise<string> {
  const { store, random, clock } = deps;
  const found = await store.get<ForwardKey>(KIND, NAME);
  if (found !== undefined) {
    return found.key;
  }
  const now = nowRfc3339(clock);
  const metadata = newMeta(NAME, random.uuid(), now);
  const object = { apiVersion: API_VERSION, kind: KIND, metadata, key: `${random.uuid()}${random.uuid()}` } satisfies Draft<ForwardKey>;
  try {
    await store.commit([{ op: 'create', object }]);
    return object.key;
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) {
      throw error;
    }
    return await loadForwardKey(deps); // another server was first
  }
}
