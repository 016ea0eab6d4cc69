/**
 * Lease table: when each node's heartbeat lease runs out.
 *
 * Owns     one deadline per node, in memory only. A restart forgets it on purpose: the node
 *          registry grants every known node a full lease at start-up, so restarting cara-server
 *          never marks a healthy fleet NotReady.
 * Never    reads a clock, touches the store, or believes a timestamp sent by an agent.
 * Callers  node-registry.ts alone.
 * Source   Nomad nomad/heartbeat.go (TTL kept by the leader, longer TTL after failover);
 *          Kubernetes node_lifecycle_controller.go (expiry from local observation time).
 */
export class LeaseTable {
  readonly #timeoutMs: number;

  // Node name -> monotonic deadline in ms, less the credit at the time of renewal. Insertion order is deadline order: every
  // lease has the same timeout, so delete-then-set moves a renewed node to the back and expiry only ever looks at the front.
  readonly #deadlineByNode = new Map<string, number>();

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
   * Starts or renews a node's lease.
   * @param nowMs monotonic milliseconds; must not go backwards between calls
   * @returns true when the node had no live lease before (first heartbeat, or back after expiry)
   */
  renew(node: string, nowMs: number): boolean {
    const isNew = !this.#deadlineByNode.delete(node);
    this.#deadlineByNode.set(node, nowMs + this.#timeoutMs - this.#creditMs);
    return isNew;
  }

  /** Removes and returns every node whose lease ended at or before `nowMs`, earliest first. */
  takeExpired(nowMs: number): string[] {
    const expired: string[] = [];
    for (const [node, deadlineMs] of this.#deadlineByNode) {
      if (deadlineMs + this.#creditMs > nowMs) {
        break;
      }
      this.#deadlineByNode.delete(node);
      expired.push(node);
    }
    return expired;
  }

  /** The earliest deadline, monotonic; Infinity when there is no lease. */
  nextDeadlineMs(): number {
    for (const deadlineMs of this.#deadlineByNode.values()) {
      return deadlineMs + this.#creditMs;
    }
    return Infinity;
  }

  /** When the node's lease runs out, monotonic; undefined when it has none. */
  deadlineMs(node: string): number | undefined {
    const deadlineMs = this.#deadlineByNode.get(node);
    return deadlineMs === undefined ? undefined : deadlineMs + this.#creditMs;
  }

  has(node: string): boolean {
    return this.#deadlineByNode.has(node);
  }

  delete(node: string): void {
    this.#deadlineByNode.delete(node);
  }

  /**
   * Moves every deadline later, because the server itself could not listen for that long.
   * @param byMs must not exceed the time since the last renewal, else the order of deadlines would break
   */
  credit(byMs: number): void {
    this.#creditMs += byMs;
  }
}
