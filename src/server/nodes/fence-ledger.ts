/**
 * Fence ledger: until when the agents of each name may still run what is fenced, and so from when on another node may.
 *
 * Each answer to a heartbeat is a grant: its sender may count on the heartbeat timeout and the Project's own `after` from when it sent
 * it (api/project/fence.ts). Here is what the server must know of that to give a Project away: when it granted last, and to whom.
 *
 * Owns     node name -> its last grant, in memory. What an earlier process granted is not known: it is taken to have been at this
 *          one's start, which is later than any of them. A deleted node's stays, as its agent may go on for that long.
 * Never    grants while a Project is being given away (`close`): what was granted in between would not have been counted.
 * Never    grants another machine of the same name what an earlier one may still run.
 * Callers  node-registry.ts; project-controller.ts through it.
 */

export interface FenceLedgerOptions {
  /** monotonic ms of the process's start; of several servers, until when an earlier leader may have granted something */
  readonly startedAtMs: number;
  readonly timeoutMs: number;
  /** the longest heartbeat timeout that an earlier process may have granted, in milliseconds */
  readonly earlierTimeoutMs: number;
  /** the longest `after` of the fenced Projects that are bound to a node, in milliseconds */
  readonly longestAfterMs: (node: string) => number;
  /** whether whoever counts grants after this process knows of those that are given now; default: always */
  readonly mayGrant?: (() => boolean) | undefined;
  /** called when another machine is granted than before; must not throw */
  readonly onTaken?: ((node: string) => void) | undefined;
}

interface Grant {
  /** when its sender's heartbeat timeout is over at the latest, in whole monotonic ms: a fraction would be an object of its own */
  untilMs: number;
  /** undefined: it did not say */
  holder: string | undefined;
}

export class FenceLedger {
  readonly #options: FenceLedgerOptions;
  readonly #lastByNode = new Map<string, Grant>();
  /** names for which nothing is granted, and how many times they were closed */
  readonly #closed = new Map<string, number>();

  constructor(options: FenceLedgerOptions) {
    this.#options = options;
  }

  /** Notes at the start who holds a name (undefined: whoever it was), so that whoever else comes is known to be another. */
  seed(node: string, holder: string | undefined): void {
    this.#lastByNode.set(node, { ...this.#earlier(), holder });
  }

  /**
   * Takes note of a heartbeat that is about to be answered.
   * @param holder names the machine that sent it: another boot of one is another machine here, as it may be a copy
   * @param nowMs monotonic
   * @returns whether it may be told that it is granted
   */
  grant(node: string, holder: string | undefined, nowMs: number): boolean {
    if (this.#closed.has(node) || this.#options.mayGrant?.() === false) {
      return false;
    }
    const last = this.#lastByNode.get(node);
    if (last === undefined) {
      this.#lastByNode.set(node, { untilMs: this.#grantedUntil(nowMs), holder });
      return true;
    }
    const isAnother = last.holder !== holder;
    if (isAnother && this.#leftMs(last, this.#options.longestAfterMs(node), nowMs) > 0) {
      return false;
    }
    last.untilMs = this.#grantedUntil(nowMs); // in place: this is on the way of every heartbeat
    last.holder = holder;
    if (isAnother) {
      this.#options.onTaken?.(node);
    }
    return true;
  }

  /**
   * Milliseconds until every agent that ever had the name has killed what it may run for `afterMs` without a grant; 0: it has.
   * @param nowMs monotonic
   */
  leftMs(node: string, afterMs: number, nowMs: number): number {
    return this.#leftMs(this.#lastByNode.get(node) ?? this.#earlier(), afterMs, nowMs);
  }

  /** Who was granted last; undefined: nobody, or nobody knows whom. */
  holderOf(node: string): string | undefined {
    return this.#lastByNode.get(node)?.holder;
  }

  /** Whether `holder` would be kept waiting, as another machine may still run what is fenced. @param nowMs monotonic */
  isHeldByOther(node: string, holder: string, nowMs: number): boolean {
    const last = this.#lastByNode.get(node);
    return last !== undefined && last.holder !== holder && this.#leftMs(last, this.#options.longestAfterMs(node), nowMs) > 0;
  }

  /** Grants the name nothing until the result is disposed of. */
  close(node: string): Disposable {
    this.#closed.set(node, (this.#closed.get(node) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#closed.get(node) ?? 1) - 1;
        if (left > 0) {
          this.#closed.set(node, left);
        } else {
          this.#closed.delete(node);
        }
      },
    };
  }

  /** A start in time to come is until when an earlier leader may grant still: what it grants counts too. */
  #grantedUntil(nowMs: number): number {
    const { startedAtMs, timeoutMs } = this.#options;
    return Math.ceil(Math.max(nowMs, startedAtMs) + timeoutMs);
  }

  /** What may have been granted before this process, to nobody knows whom. */
  #earlier(): Grant {
    const { startedAtMs, timeoutMs, earlierTimeoutMs } = this.#options;
    return { untilMs: Math.ceil(startedAtMs + Math.max(timeoutMs, earlierTimeoutMs)), holder: undefined };
  }

  #leftMs({ untilMs }: Readonly<Grant>, afterMs: number, nowMs: number): number {
    return Math.max(0, untilMs + afterMs - nowMs);
  }
}
