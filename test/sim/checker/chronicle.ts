/** Chronicle: every change of the store with its time, as nobody in the world sees it: whole, at once, in order. */
import type { Change, Store, StoredObject } from '../../../src/store/store.ts';
import type { SimClock } from '../world/sim-clock.ts';

export interface Entry {
  readonly atMs: number;
  readonly change: Change;
}

export class Chronicle {
  readonly #entries = new Map<string, Entry[]>();
  readonly #listeners = new Set<(entry: Entry) => void>();
  readonly #ended = new AbortController();
  readonly #clock: SimClock;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  /** Follows these kinds from now on. */
  async follow(store: Store, kinds: readonly string[]): Promise<void> {
    const since = await store.version();
    for (const kind of kinds) {
      void this.#read(store, kind, since);
    }
  }

  onChange(listener: (entry: Entry) => void): void {
    this.#listeners.add(listener);
  }

  /** In order of version. */
  entries(kind: string): readonly Entry[] {
    return this.#entries.get(kind) ?? [];
  }

  /** The first with a greater version. */
  findAfter(kind: string, version: number): Entry | undefined {
    const entries = this.#entries.get(kind) ?? [];
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((entries[middle]?.change.version ?? 0) > version) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return entries[low];
  }

  end(): void {
    this.#ended.abort();
  }

  async #read(store: Store, kind: string, since: number): Promise<void> {
    const entries: Entry[] = [];
    this.#entries.set(kind, entries);
    try {
      for await (const item of store.watch<StoredObject>(kind, since, this.#ended.signal)) {
        if (item.type !== 'BOOKMARK') {
          const entry = { atMs: this.#clock.monotonicMs(), change: item };
          entries.push(entry);
          this.#listeners.forEach((listener) => listener(entry));
        }
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) {
        throw error;
      }
    }
  }
}
