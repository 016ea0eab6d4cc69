/**
 * Known amounts: what nodes have to give as numbers, kept once for all that say the same: a fleet has a few kinds of machines.
 *
 * Owns     the texts of cpu, memory and disk -> their amounts; at most KEPT of them. After that it begins anew: what was given out stays.
 * Callers  snapshot.ts
 */
import type { NodeStatus } from '../../api/node.ts';
import { readAllocatable, type Allocatable } from '../../api/resource-amounts.ts';

const KEPT = 10_000; // some 2 MB

export class KnownAmounts {
  readonly #known = new Map<string, Allocatable>();

  /** As `readAllocatable`. */
  read(status: Pick<NodeStatus, 'allocatable'>): Allocatable {
    const key = JSON.stringify(status.allocatable) ?? '';
    const known = this.#known.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.#known.size >= KEPT) {
      this.#known.clear();
    }
    const amounts = Object.freeze(readAllocatable(status));
    this.#known.set(key, amounts);
    return amounts;
  }
}
