/**
 * Sleepers: who waits until when, earliest first: a binary heap, as a simulated fleet has thousands of them and wakes one at a time.
 *
 * Owns     the heap. One that is deleted stays in it until its turn comes, or until half of the heap is of those.
 */
export interface Sleeper {
  readonly deadlineMs: number;
  /** breaks ties: who began to wait first wakes first */
  readonly order: number;
  readonly wake: () => void;
  /** neither woken nor deleted */
  isWaiting: boolean;
}

const FEW = 64; // not worth sweeping

export class Sleepers {
  #heap: Sleeper[] = [];
  #size = 0;
  #order = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  add(deadlineMs: number, wake: () => void): Sleeper {
    const sleeper = { deadlineMs, order: (this.#order += 1), wake, isWaiting: true };
    this.#size += 1;
    this.#heap.push(sleeper);
    this.#rise(sleeper);
    return sleeper;
  }

  delete(sleeper: Sleeper): void {
    if (!sleeper.isWaiting) {
      return;
    }
    sleeper.isWaiting = false;
    this.#size -= 1;
    if (this.#heap.length > FEW && this.#heap.length > 2 * this.#size) {
      this.#heap = this.#heap.filter(({ isWaiting }) => isWaiting).sort((a, b) => (isBefore(a, b) ? -1 : 1));
    }
  }

  /** Removes and returns the earliest of those that are due by `endMs`. */
  take(endMs: number): Sleeper | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.isWaiting && first.deadlineMs > endMs) {
        return undefined;
      }
      this.#removeFirst();
      if (first.isWaiting) {
        first.isWaiting = false;
        this.#size -= 1;
        return first;
      }
    }
    return undefined;
  }

  /** The last of the heap to where it belongs. */
  #rise(sleeper: Sleeper): void {
    const heap = this.#heap;
    let at = heap.length - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(sleeper, parent)) {
        break;
      }
      heap[at] = parent;
      at = above;
    }
    heap[at] = sleeper;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const sleeper = heap.pop();
    if (sleeper === undefined || heap.length === 0) {
      return;
    }
    let at = 0;
    for (;;) {
      const below = 2 * at + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) {
        break;
      }
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, sleeper)) {
        break;
      }
      heap[at] = child;
      at = isRight ? below + 1 : below;
    }
    heap[at] = sleeper;
  }
}

function isBefore(a: Sleeper, b: Sleeper): boolean {
  return a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.order < b.order);
}
