/**
 * Shared conditions: what many nodes say since the same moment, as when a fleet falls silent, is one object for all of them: made, frozen
 * and kept once.
 *
 * Owns     type -> the condition of that type that was made last, frozen; at most KEPT of them.
 * Callers  node-view.ts
 */
import type { Condition } from '../../api/condition.ts';

const KEPT = 64; // types; agents may report ones of their own

export class SharedConditions {
  readonly #newest = new Map<string, Condition>();

  /** @returns one that says the same since the same moment: `condition` itself where the last one of its type does not */
  share(condition: Condition): Condition {
    const known = this.#newest.get(condition.type);
    if (known !== undefined && isAlike(known, condition)) {
      return known;
    }
    if (this.#newest.size >= KEPT) {
      this.#newest.clear();
    }
    this.#newest.set(condition.type, Object.freeze(condition));
    return condition;
  }
}

function isAlike(left: Condition, right: Condition): boolean {
  return (
    left.lastTransitionTime === right.lastTransitionTime &&
    left.status === right.status &&
    left.reason === right.reason &&
    left.message === right.message
  );
}
