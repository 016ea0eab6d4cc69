/** Commits that wait for their group to be written. Callers: document-store.ts, postgres/postgres-store.ts. */
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

/** Judges one commit. @returns what tells its caller, once the group is durable */
export function answerOf(batch: WriteBatch, { writes, resolve, reject }: Waiting): () => void {
  try {
    const results = batch.add(writes);
    return () => resolve(results);
  } catch (error) {
    return () => reject(error);
  }
}
