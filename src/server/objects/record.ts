/** What the records have in common that the server writes by itself, and users see through others or not at all. Pure. */
import type { ObjectMeta } from '../../api/meta.ts';
import type { Draft, StoredObject, Write } from '../../store/store.ts';

/** `metadata` of one that is to be created. @param now RFC 3339 */
export function newMeta(name: string, uid: string, now: string): Omit<ObjectMeta, 'resourceVersion'> {
  return { name, labels: {}, annotations: {}, uid, generation: 1, createdAt: now, updatedAt: now };
}

/** The write that puts `object` in the place of what was read: AlreadyExists or Conflict where somebody else was first. */
export function putOver(before: StoredObject | undefined, object: Draft): Write {
  return before === undefined ? { op: 'create', object } : { op: 'update', object, expectedVersion: before.metadata.resourceVersion };
}

/** The write that deletes what was read: Conflict where somebody else has written it since. */
export function deletionOf({ kind, metadata }: StoredObject): Write {
  return { op: 'delete', kind, name: metadata.name, expectedVersion: metadata.resourceVersion };
}
