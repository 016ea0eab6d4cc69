/**
 * Turn: lets pieces of work run one after another, each when the one before has ended; one that fails does not hold up the next.
 *
 * Owns     the promise of the last that was taken in.
 */
export class Turn {
  #last: Promise<unknown> = Promise.resolve();

  async run(act: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const turn = this.#last.then(async () => {
      signal.throwIfAborted();
      await act();
    });
    this.#last = turn.catch(() => undefined);
    await turn;
  }
}
