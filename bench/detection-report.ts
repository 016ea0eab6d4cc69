/** What detection.ts and its watcher, two processes, agree on. */

/** What the watcher says in the end. */
export interface Watched {
  /** node name -> when NotReady was told of it, as monotonicMs */
  readonly toldAtMs: Readonly<Record<string, number>>;
  /** how often the watch was too slow and had to list again */
  readonly relists: number;
}

/** The machine's monotonic clock, in milliseconds: the same in every process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
