/**
 * Lease table: when each node's heartbeat lease runs out.
 *
 * Owns     one deadline per node, in memory only. A restart forgets it on purpose: the node
 *          registry grants every known node a full lease at start-up, so restarting cara-server
 *          never marks a healthy fleet NotReady.
 * Never    reads a clock, touches the store, or believes a timestamp sent by an agent.
 * Callers  node-registry.ts, name-holders.ts; tunnel/tunnel-registry.ts for the silence of tunnels.
 * Source   Nomad nomad/heartbeat.go (TTL kept by the leader, longer TTL after failover);
 *          Kubernetes node_lifecycle_controller.go (expiry from local observation time).
 *
 * The leases are a linked list through their holders, which is in order of deadline as each lease lasts equally long: a renewed one goes
 * to the back, and expiry only ever looks at the front. A Map in order of insertion does the same, but takes 60 to 100 bytes more for each,
 * and rebuilds itself again and again, as each renewal leaves a hole: 5 to 10 ms at 100,000.
 */

/** The fields of a holder that belong to its table; nobody else writes them. */
export interface Leased<Item> {
  /** monotonic ms, whole (a fraction would be an object of its own), less the credit at the time of renewal; undefined: there is no lease */
  leaseEndsMs: number | undefined;
  /** whose lease ends before this one */
  earlier: Item | undefined;
  /** whose lease ends after this one */
  later: Item | undefined;
}

/** Of one that has had no lease yet. */
export const NO_LEASE = { leaseEndsMs: undefined, earlier: undefined, later: undefined } as const;

export class LeaseTable<Item extends Leased<Item>> {
  readonly #timeoutMs: number;
  #first: Item | undefined;
  #last: Item | undefined;

  // What every deadline is late by, in ms: one addition moves all of them.
  #creditMs = 0;

  /** @param timeoutMs how long a lease lasts after a renewal, in milliseconds; must be > 0 */
  constructor(timeoutMs: number) {
    if (!(timeoutMs > 0)) {
      throw new RangeError(`Cannot create lease table as timeoutMs must be > 0: current value is ${timeoutMs}`);
    }
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Starts or renews a lease.
   * @param nowMs monotonic milliseconds; must not go backwards between calls
   * @returns true when the holder had no live lease before (first heartbeat, or back after expiry)
   */
  renew(item: Item, nowMs: number): boolean {
    const isNew = item.leaseEndsMs === undefined;
    if (item !== this.#last) {
      this.#unlink(item);
      item.earlier = this.#last;
      if (this.#last === undefined) {
        this.#first = item;
      } else {
        this.#last.later = item;
      }
      this.#last = item;
    }
    item.leaseEndsMs = Math.ceil(nowMs + this.#timeoutMs - this.#creditMs);
    return isNew;
  }

  /** Ends and returns every lease whose deadline is at or before `nowMs`, earliest first. */
  takeExpired(nowMs: number): Item[] {
    const expired: Item[] = [];
    for (let item = this.#first; item?.leaseEndsMs !== undefined && item.leaseEndsMs + this.#creditMs <= nowMs; item = this.#first) {
      this.delete(item);
      expired.push(item);
    }
    return expired;
  }

  /** The earliest deadline, monotonic; Infinity when there is no lease. */
  nextDeadlineMs(): number {
    return this.#first?.leaseEndsMs === undefined ? Infinity : this.#first.leaseEndsMs + this.#creditMs;
  }

  /** When the lease runs out, monotonic; undefined when there is none. */
  deadlineMs({ leaseEndsMs }: Item): number | undefined {
    return leaseEndsMs === undefined ? undefined : leaseEndsMs + this.#creditMs;
  }

  /** Ends the lease, if there is one. */
  delete(item: Item): void {
    this.#unlink(item);
    item.leaseEndsMs = undefined;
  }

  /**
   * Moves every deadline later, because the server itself could not listen for that long.
   * @param byMs must not exceed the time since the last renewal, else the order of deadlines would break
   */
  credit(byMs: number): void {
    this.#creditMs += byMs;
  }

  #unlink(item: Item): void {
    if (item.leaseEndsMs === undefined) {
      return;
    }
    const { earlier, later } = item;
    if (earlier === undefined) {
      this.#first = later;
    } else {
      earlier.later = later;
    }
    if (later === undefined) {
      this.#last = earlier;
    } else {
      later.earlier = earlier;
    }
    item.earlier = undefined;
    item.later = undefined;
  }
}
