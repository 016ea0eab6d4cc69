/**
 * Kind log: the recent changes of one kind, and who watches that kind.
 *
 * Owns     its changes and its watchers.
 * Callers  change-log.ts; watch-place.ts reads.
 */
import type { Change } from './store.ts';
import { TopicWatchers, type Watcher } from './watchers.ts';

/** Changes are addressed by position: 0 is the first ever taken in, and positions stay when old changes go. */
export class KindLog {
  readonly #watchers = new Set<Watcher>();
  readonly #topics = new TopicWatchers();
  readonly #changes: Change[] = [];
  #firstPosition = 0;
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  /** Every change with a version greater than this is here. */
  get floor(): number {
    return this.#floor;
  }

  get firstPosition(): number {
    return this.#firstPosition;
  }

  at(position: number): Change | undefined {
    return this.#changes[position - this.#firstPosition];
  }

  push(change: Change, logSize: number): void {
    this.#topics.tell(change, this.#firstPosition + this.#changes.length);
    this.#changes.push(change);
    // A quarter over before it cuts: dropping one at a time would move the whole array at each change.
    if (this.#changes.length > logSize * 1.25) {
      const dropped = this.#changes.splice(0, this.#changes.length - logSize);
      this.#firstPosition += dropped.length;
      this.#floor = dropped.at(-1)?.version ?? this.#floor;
    }
  }

  /** Forgets all; each position that was given out is before the first. */
  reset(floor: number): void {
    this.#topics.tellAll(this.#firstPosition);
    this.#firstPosition += this.#changes.length + 1;
    this.#changes.length = 0;
    this.#floor = floor;
  }

  /** The position of the first change with a version greater than `version`. */
  positionAfter(version: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? 0) <= version) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return this.#firstPosition + low;
  }

  addWatcher(watcher: Watcher): void {
    if (watcher.topic === undefined) {
      this.#watchers.add(watcher);
    } else {
      this.#topics.add(watcher, watcher.topic);
    }
  }

  /** @returns whether it was here */
  removeWatcher(watcher: Watcher): boolean {
    return watcher.topic === undefined ? this.#watchers.delete(watcher) : this.#topics.delete(watcher, watcher.topic);
  }

  *watchers(): Generator<Watcher> {
    yield* this.#watchers;
    yield* this.#topics.all();
  }

  /** Those of a topic have been told, and woken, already. */
  wakeMost(): void {
    for (const watcher of this.#watchers) {
      watcher.wake();
    }
  }

  wakeAll(): void {
    for (const watcher of this.watchers()) {
      watcher.wake();
    }
  }
}
