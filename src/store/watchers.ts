/**
 * Watchers: who waits for changes of a kind, and of which topic.
 *
 * Callers  change-log.ts, kind-log.ts, watch-place.ts
 */
import type { Change } from './store.ts';
import { readField, type Topic } from './topic.ts';

/** What one watcher costs beside its generator: a few fields. */
export class Watcher {
  /** undefined: it watches everything */
  readonly topic: Topic | undefined;
  #resolve: (() => void) | undefined;
  #hasSeenSomething = false;
  #isBookmarkDue = false;
  #isIdle = false;
  #nextPosition: number | undefined;

  constructor(topic: Topic | undefined) {
    this.topic = topic;
  }

  wake(): void {
    this.#resolve?.();
    this.#resolve = undefined;
  }

  sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  noteDelivery(): void {
    this.#hasSeenSomething = true;
    this.#isBookmarkDue = false;
  }

  takeBookmark(): boolean {
    const isDue = this.#isBookmarkDue;
    this.#isBookmarkDue = false;
    return isDue;
  }

  endPeriod(): void {
    if (!this.#hasSeenSomething) {
      this.#isBookmarkDue = true;
      this.wake();
    }
    this.#hasSeenSomething = false;
  }

  /** Whether it has seen all that was for it, and where it is in the log no longer matters. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** Where the log goes on for one that is idle; undefined: nothing has come for it. */
  get nextPosition(): number | undefined {
    return this.#nextPosition;
  }

  /** Notes that it has come to the end of the log. */
  rest(): void {
    this.#isIdle = this.topic !== undefined;
  }

  /** Notes that it reads on. */
  resume(): void {
    this.#isIdle = false;
    this.#nextPosition = undefined;
  }

  /** Something at `position` is for it. One that is not idle comes by there anyway. */
  tell(position: number): void {
    if (this.#isIdle) {
      this.#nextPosition ??= position;
    }
    this.wake();
  }
}

/** Those who watch a topic, found by what changes. */
export class TopicWatchers {
  /** field -> value -> watchers */
  readonly #byField = new Map<string, Map<string, Set<Watcher>>>();

  add(watcher: Watcher, { field, value }: Topic): void {
    const byValue = this.#byField.get(field) ?? new Map<string, Set<Watcher>>();
    const watchers = byValue.get(value) ?? new Set();
    this.#byField.set(field, byValue.set(value, watchers.add(watcher)));
  }

  delete(watcher: Watcher, { field, value }: Topic): boolean {
    const byValue = this.#byField.get(field);
    const watchers = byValue?.get(value);
    const wasHere = watchers?.delete(watcher) ?? false;
    if (watchers?.size === 0) {
      byValue?.delete(value);
    }
    if (byValue?.size === 0) {
      this.#byField.delete(field);
    }
    return wasHere;
  }

  *all(): Generator<Watcher> {
    for (const byValue of this.#byField.values()) {
      for (const watchers of byValue.values()) {
        yield* watchers;
      }
    }
  }

  /** Tells those whom the change at `position` concerns: it came into their topic, is in it, or left it. */
  tell({ type, object, previous }: Change, position: number): void {
    if (this.#byField.size === 0) {
      return;
    }
    if (type !== 'ADDED' && previous === undefined) {
      this.tellAll(position); // nobody knows what it was
      return;
    }
    for (const [field, byValue] of this.#byField) {
      const value = readField(object, field);
      const before = previous && readField(previous, field);
      tellEach(value === undefined ? undefined : byValue.get(value), position);
      tellEach(before === undefined || before === value ? undefined : byValue.get(before), position);
    }
  }

  tellAll(position: number): void {
    for (const watcher of this.all()) {
      watcher.tell(position);
    }
  }
}

function tellEach(watchers: ReadonlySet<Watcher> | undefined, position: number): void {
  watchers?.forEach((watcher) => watcher.tell(position));
}
