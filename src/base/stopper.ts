/**
 * Stopper: every background loop of a program, by name, with one signal that ends them all.
 *
 * Owns     the AbortController and the promises of what was spawned.
 * Never    swallows a failure: a loop that throws for another reason than the abort is a bug, is told to `onCrash`, and stops the program.
 */
export class Stopper {
  readonly #controller = new AbortController();
  readonly #running = new Map<Promise<void>, string>();
  readonly #onCrash: (name: string, error: unknown) => void;

  constructor(onCrash: (name: string, error: unknown) => void) {
    this.#onCrash = onCrash;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Runs `loop` until it ends or the stopper stops. */
  spawn(name: string, loop: (signal: AbortSignal) => Promise<void>): void {
    const running = (async () => {
      try {
        await loop(this.signal);
      } catch (error) {
        if (!this.signal.aborted) {
          this.#onCrash(name, error);
        }
      }
    })();
    this.#running.set(running, name);
    void running.finally(() => this.#running.delete(running));
  }

  /** Names of the loops that still run. */
  get names(): readonly string[] {
    return [...this.#running.values()];
  }

  /** Asks every loop to end and waits until all have. Safe to call twice. */
  async stop(): Promise<void> {
    this.#controller.abort(new DOMException('Stopping', 'AbortError'));
    await Promise.all(this.#running.keys());
  }
}
