/** Commits that wait for their group to be written. Callers: document-store.ts, postgres/postgres-store.ts. */
import type { Documents } from './documents.ts';
import { frozenCopyOf } from './frozen.ts';
import type { StoredObject, Write } from './store.ts';
import type { WriteBatch } from './write-batch.ts';

/** Commits in one transaction: bounds how long a flood of them holds up everything else (some 15 ms). */
export const GROUP_LIMIT = 512;

export interface Waiting {
  /** frozen to the last leaf */
  readonly writes: readonly Write[];
  readonly resolve: (results: readonly (StoredObject | undefined)[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A write as the store keeps it, frozen to the last leaf. Most of an update is the very object that was read. */
export function ownCopyOf(write: Write, documents: Documents): Write {
  if (write.op !== 'update') {
    return frozenCopyOf(write);
  }
  const { kind, metadata } = write.object;
  return { ...write, object: frozenCopyOf(write.object, documents.get(kind, metadata.name)) };
}

/** Judges one commit. @returns what tells its caller, once the group is durable */
export function answerOf(batch: WriteBatch, { writes, resolve, reject }: Waiting): () => void {
  try {
    const results = batch.add(writes);
    return () => resolve(results);
  } catch (error) {
    return () => reject(error);
  }
}
