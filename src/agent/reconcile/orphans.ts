/**
 * Orphans: since when something of ours has stood in the engine without being assigned to this node.
 *
 * Owns     the time at which each was first seen so, in memory: after a restart the wait begins anew.
 * Never    decides on anything but the server's own word; a Managed volume is no orphan, it stays.
 * Callers  reconciler.ts.
 */

/** ms, monotonic; contract: gone after three minutes of being unassigned. Long enough for a server that was restored from a copy to hear of what runs. */
const ORPHAN_AFTER_MS = 180_000;

export interface OwnerKey {
  readonly project: string;
  readonly uid: string;
}

export class OrphanTable {
  /** Project and uid -> monotonic ms at which it was first seen unassigned. */
  readonly #sinceMs = new Map<string, number>();
  readonly #afterMs: number;

  /** @param afterMs how long it stands so before it goes, in milliseconds */
  constructor(afterMs = ORPHAN_AFTER_MS) {
    this.#afterMs = afterMs;
  }

  /** Takes the complete list of what is unassigned now. @returns those that have been for long enough */
  update(unassigned: readonly OwnerKey[], nowMs: number): readonly OwnerKey[] {
    const present = new Map(unassigned.map((owner) => [`${owner.project} ${owner.uid}`, owner]));
    for (const key of this.#sinceMs.keys()) {
      if (!present.has(key)) {
        this.#sinceMs.delete(key);
      }
    }
    return [...present].flatMap(([key, owner]) => {
      const sinceMs = this.#sinceMs.get(key) ?? nowMs;
      this.#sinceMs.set(key, sinceMs);
      return nowMs - sinceMs >= this.#afterMs ? [owner] : [];
    });
  }

  /** Monotonic ms at which the next is due; undefined when there is none. */
  get nextDueMs(): number | undefined {
    return this.#sinceMs.size === 0 ? undefined : Math.min(...this.#sinceMs.values()) + this.#afterMs;
  }
}
