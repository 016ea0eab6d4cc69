/**
 * Life: one run of a process. When it ends, by `kill -9`, nothing that the process awaits ever comes back, at whatever `await` it was:
 * its code stands still for good, and what it has done stays done.
 *
 * Callers  the ports that a process is given go through `guard`.
 */
import type { Clock } from '../../../src/base/clock.ts';

/** How a process's own clock runs against the world's. */
export interface ClockDrift {
  /** its wall clock ahead of the world's, in milliseconds; asked anew each time */
  readonly aheadMs: () => number;
}

export class Life {
  readonly #ended = new AbortController();
  readonly #listeners = new Set<() => void>();
  #paused: PromiseWithResolvers<void> | undefined;

  get isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Aborts when it ends, for what the world does in its name. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  end(): void {
    this.#ended.abort(new DOMException('Killed', 'AbortError'));
    this.#listeners.forEach((listener) => listener());
    this.#listeners.clear();
  }

  /** Calls `listener` when it ends, or at once when it has. Not through `signal`, where thousands of listeners are slow. @returns how to forget it */
  onEnd(listener: () => void): () => void {
    if (this.isOver) {
      listener();
      return () => undefined;
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** SIGSTOP: what it awaits comes back when it goes on. */
  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  /** Resolves at once, or when it goes on. */
  async running(): Promise<void> {
    while (this.#paused !== undefined) {
      await this.#paused.promise;
    }
  }

  /** What `work` comes to, for as long as the process lives. */
  guard<Result>(work: Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const deliver = (give: () => void): void => {
      if (this.#paused !== undefined) {
        void this.#paused.promise.then(() => deliver(give));
      } else if (!this.isOver) {
        give();
      }
    };
    work.then(
      (result) => deliver(() => resolve(isIterable(result) ? (this.guardEach(result) as Result) : result)),
      (error: unknown) => deliver(() => reject(error as Error)),
    );
    return promise;
  }

  /** The same, item by item. */
  async *guardEach<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await this.guard(iterator.next());
        if (step.done === true) {
          return;
        }
        yield step.value;
      }
    } finally {
      void iterator.return?.();
    }
  }

  /** Every method that answers with a promise or an iteration. */
  guardAll<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (...args: unknown[]) => this.#guardAny(Reflect.apply(value, target, args)) : value;
      },
    });
  }

  /** Calls `act`, and nothing once it has ended: code that ran on to here without waiting stands still here. */
  act<Result>(act: () => Promise<Result>): Promise<Result> {
    return this.isOver ? new Promise<never>(() => undefined) : this.guard(act());
  }

  #guardAny(answer: unknown): unknown {
    if (answer instanceof Promise) {
      return this.guard(answer);
    }
    return isIterable(answer) ? this.guardEach(answer) : answer;
  }

  /** A process that is killed never wakes from its sleep. */
  clock(base: Clock, { aheadMs }: ClockDrift): Clock {
    return {
      monotonicMs: () => base.monotonicMs(),
      wallMs: () => base.wallMs() + aheadMs(),
      sleep: async (ms, signal) => {
        if (this.isOver) {
          return await new Promise<never>(() => undefined);
        }
        await this.guard(base.sleep(ms, signal));
      },
    };
  }
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
