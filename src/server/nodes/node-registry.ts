/**
 * Node registry: which nodes there are, and the presence of each.
 *
 * Owns     per node an entry (node-entry.ts) and a lease (lease-table.ts); the set of nodes whose status must be derived again; who
 *          holds each name (name-holders.ts), what is granted (fence-ledger.ts), who was deleted (tombstones.ts). All in memory.
 * Never    does I/O: heartbeats are presence, not documents. node-lifecycle.ts writes what changed. Never believes an agent's clock.
 * Callers  http/routes/heartbeats.ts; node-service.ts and node-lifecycle.ts, which tell it what they wrote before they answer.
 */
import { hash } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { Heartbeat, NodeObject } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Change } from '../../store/store.ts';
import { FenceLedger } from './fence-ledger.ts';
import { LeaseTable } from './lease-table.ts';
import { NameHolders } from './name-holders.ts';
import { heardAt, isHeardNow, makeEntry, type NodeEntry } from './node-entry.ts';
import { granteeOf, type Party, type Rivalry } from './node-identity.ts';
import { isDisputed, isHeard } from './node-state.ts';
import { NodeView } from './node-view.ts';
import { ReportParts } from './report-parts.ts';
import { Tombstones } from './tombstones.ts';

/** How often the lifecycle loop must call `noticeTime`, in milliseconds. */
export const TICK_MS = 250;

/** ms; a gap this much longer than a tick is a stall of ours (a suspended process, a long GC, a slow disk) and not the nodes' fault. */
const STALL_MS = 500;

export interface NodeRegistryOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** how long a lease lasts after a heartbeat, in milliseconds */
  readonly heartbeatTimeoutMs: number;
  /** called when there is something to flush; must not throw */
  readonly onDirty: () => void;
  /** called once per stall that was credited to the nodes */
  readonly onStall?: (stallMs: number) => void;
  /** as NameHoldersOptions.onMachine */
  readonly onMachine?: (name: string) => void;
  /** as NameHoldersOptions.onRivalry */
  readonly onRivalry?: (name: string, rivalry: Rivalry | undefined) => void;
  /** default: one that knows of no fenced Project */
  readonly fences?: FenceLedger;
}

export class NodeRegistry {
  readonly #clock: Clock;
  readonly #options: NodeRegistryOptions;
  readonly #entries = new Map<string, NodeEntry>();
  readonly #leases: LeaseTable<NodeEntry>;
  readonly #dirty = new Set<string>();
  readonly tombstones = new Tombstones();
  readonly holders: NameHolders;
  readonly fences: FenceLedger;
  readonly view: NodeView;
  readonly #parts = new ReportParts();
  #noticedAtMs: number;

  constructor(options: NodeRegistryOptions) {
    this.#clock = options.clock;
    this.#options = options;
    this.#leases = new LeaseTable(options.heartbeatTimeoutMs);
    this.holders = new NameHolders({
      clock: options.clock,
      random: options.random,
      timeoutMs: options.heartbeatTimeoutMs,
      heldForMs: (name) => this.#heldForMs(name),
      onHolder: (name) => this.#forgetText(name),
      onDispute: (name) => this.#markDirty(name),
      onMachine: options.onMachine,
      onRivalry: options.onRivalry,
    });
    this.view = new NodeView({
      clock: options.clock,
      heartbeatTimeoutMs: options.heartbeatTimeoutMs,
      findEntry: (name) => this.#entries.get(name),
      findDispute: (name) => this.holders.findDispute(name),
    });
    this.#noticedAtMs = options.clock.monotonicMs();
    this.fences =
      options.fences ??
      new FenceLedger({
        startedAtMs: this.#noticedAtMs,
        timeoutMs: options.heartbeatTimeoutMs,
        earlierTimeoutMs: 0,
        longestAfterMs: () => 0,
      });
  }

  /**
   * Takes in a heartbeat: renews the lease, and marks the node for flushing when anything but the time changed.
   * @param text the body as it was sent
   * @param decode reads `text`; called only when it differs from the last one. What it throws is thrown, and the lease not renewed
   * @param address remote IP address
   * @returns what to ask of the sender; then the heartbeat was not taken in (node-identity.ts)
   * @throws {ApiError} NodeDeleted for a deleted node; NotFound for one never known; NameTaken, DuplicateIdentity when another machine
   *   holds the name
   */
  recordHeartbeat(name: string, text: string, decode: (text: string) => Heartbeat, address?: string): string | undefined {
    const nowMs = this.#clock.monotonicMs();
    this.noticeTime(nowMs);
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw this.#strangerError(name, nowMs);
    }
    const known = entry.node.metadata.name; // the very string: `name` may be a slice of a URL, and keep all of that
    const digest = hash('sha256', text, 'latin1');
    const isNews = digest !== entry.lastDigest;
    if (isNews) {
      const { identity, ...report } = decode(text);
      const question = identity && this.holders.judgeHeartbeat(known, identity, address);
      if (question !== undefined) {
        return question;
      }
      entry.lastDigest = digest;
      entry.pending = { ...entry.pending, ...this.#parts.share(report) };
    }
    const isBack = this.#leases.renew(entry, nowMs);
    entry.heardAtMs = this.#clock.wallMs();
    if (isNews || isBack) {
      this.#markDirty(known);
    }
    return undefined;
  }

  /** How long a node may be silent, in milliseconds. */
  get heartbeatTimeoutMs(): number {
    return this.#options.heartbeatTimeoutMs;
  }

  /** To be asked right after a heartbeat was taken in. @returns whether its sender may go on with what is fenced, see fence-ledger.ts */
  grant(name: string): boolean {
    const known = this.#entries.get(name)?.node.metadata.name ?? name;
    const holding = this.holders.find(known);
    return this.fences.grant(known, holding && granteeOf(holding.holder), this.#clock.monotonicMs());
  }

  #strangerError(name: string, nowMs: number): ApiError {
    return this.tombstones.touch(name, nowMs)
      ? new ApiError(
          'NodeDeleted',
          `Cannot take heartbeat as node ${JSON.stringify(name)} was deleted: restart its agent to register it again`,
        )
      : new ApiError('NotFound', `Cannot take heartbeat as there is no node ${JSON.stringify(name)}: register it first`);
  }

  /**
   * Tells the registry that time goes on, at least every TICK_MS. When it was not told for much longer, the process itself stood still:
   * no heartbeat could be taken in, so that long is credited to every lease.
   * @param nowMs monotonic
   */
  noticeTime(nowMs: number): void {
    const gapMs = nowMs - this.#noticedAtMs;
    if (gapMs < TICK_MS) {
      return;
    }
    this.#noticedAtMs = nowMs;
    if (gapMs > TICK_MS + STALL_MS) {
      // less one tick: a lease may have been renewed that long after the last notice
      this.#leases.credit(gapMs - TICK_MS);
      this.holders.credit(gapMs - TICK_MS);
      this.#options.onStall?.(gapMs);
    }
  }

  /** Ends the leases that have run out. @returns how many nodes fell silent; they are marked for flushing */
  expire(nowMs: number): number {
    this.noticeTime(nowMs);
    const expired = this.#leases.takeExpired(nowMs);
    for (const entry of expired) {
      entry.lastDigest = undefined; // what it says when it comes back must be looked at anew
      entry.silentSinceMs = this.#clock.wallMs();
      this.#markDirty(entry.node.metadata.name);
    }
    this.holders.expire(nowMs);
    return expired.length;
  }

  /** The earliest moment at which `expire` has something to do, monotonic; Infinity when there is none. */
  nextDeadlineMs(): number {
    return Math.min(this.#leases.nextDeadlineMs(), this.holders.nextDeadlineMs());
  }

  /**
   * Notes that an agent has registered under `name`: the name is held for as long as after a heartbeat.
   * @param party undefined: it did not say who it is
   * @throws {ApiError} NameTaken, DuplicateIdentity
   */
  claim(name: string, party: Party | undefined): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      return; // deleted meanwhile
    }
    if (party !== undefined) {
      this.holders.claim(name, party);
    }
    entry.claimedUntilMs = Math.ceil(this.#clock.monotonicMs() + this.#options.heartbeatTimeoutMs);
  }

  /** How long whoever holds the name still does without another heartbeat, in milliseconds; undefined: nobody does. */
  #heldForMs(name: string): number | undefined {
    const entry = this.#entries.get(name);
    const untilMs = entry === undefined ? 0 : Math.max(this.#leases.deadlineMs(entry) ?? 0, entry.claimedUntilMs);
    const leftMs = untilMs - this.#clock.monotonicMs();
    return leftMs > 0 ? leftMs : undefined;
  }

  /** Takes in a node as stored. Older news than what is known is ignored, so the order of callers does not matter. */
  observe(node: NodeObject): void {
    const { name } = node.metadata;
    const version = Number(node.metadata.resourceVersion);
    const entry = this.#entries.get(name);
    if (version <= (entry?.version ?? this.tombstones.findVersion(name) ?? -1)) {
      return;
    }
    if (entry?.node.metadata.uid === node.metadata.uid) {
      entry.node = node;
      entry.version = version;
      return;
    }
    const fresh = makeEntry(node, version);
    this.#entries.set(name, fresh);
    this.tombstones.delete(name);
    this.#endLease(entry);
    this.holders.delete(name);
    const nowMs = this.#clock.monotonicMs();
    if (isHeard(node.status)) {
      this.#leases.renew(fresh, nowMs); // a full timeout before the first judgement, however long ago it was heard
    }
    if (isDisputed(node.status)) {
      this.holders.resumeDispute(name);
    }
  }

  /** Takes in a deletion. @param version that of the deletion */
  forget(name: string, version: number): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined && entry.version > version) {
      return; // made anew since
    }
    this.#entries.delete(name);
    this.#endLease(entry);
    this.holders.delete(name);
    this.#dirty.delete(name);
    this.tombstones.add(name, version, this.#clock.monotonicMs());
  }

  /** Takes in a change of Nodes that somebody else may have made. */
  observeChange(change: Change<NodeObject>): void {
    if (change.type === 'DELETED') {
      this.forget(change.object.metadata.name, change.version);
    } else {
      this.observe(change.object);
    }
  }

  /** The newest record seen. */
  find(name: string): NodeObject | undefined {
    return this.#entries.get(name)?.node;
  }

  /** All newest records. */
  nodes(): Iterable<NodeObject> {
    return this.#entries.values().map(({ node }) => node);
  }

  /** When each node was last heard, in wall-clock ms; `isNews`: by this process. */
  heardTimes(): readonly { readonly name: string; readonly atMs: number; readonly isNews: boolean }[] {
    return [...this.#entries].flatMap(([name, entry]) => {
      const atMs = heardAt(entry);
      return atMs === undefined ? [] : [{ name, atMs, isNews: isHeardNow(entry) }];
    });
  }

  /** Takes in that an earlier process heard the node at `atMs`, wall clock, unless its record, which may be another's, says otherwise. */
  recallHeard(name: string, atMs: number): void {
    const entry = this.#entries.get(name);
    const written = entry?.node.status.lastHeartbeat;
    if (entry !== undefined && written !== undefined && Date.parse(written) < atMs) {
      entry.heardBeforeMs = atMs;
    }
  }

  /** Removes and returns up to `limit` names whose status must be derived again. */
  takeDirty(limit: number): readonly string[] {
    const names = this.#dirty.values().take(limit).toArray();
    names.forEach((name) => this.#dirty.delete(name));
    return names;
  }

  /** Puts back names whose flush failed. */
  returnDirty(names: readonly string[]): void {
    names.forEach((name) => this.#dirty.add(name));
  }

  /** Drops what a flush has written, unless more was reported since. */
  settle(name: string, flushed: Heartbeat | undefined): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined && entry.pending === flushed) {
      entry.pending = undefined;
    }
  }

  /** Of an entry that is replaced, or gone. */
  #endLease(entry: NodeEntry | undefined): void {
    if (entry !== undefined) {
      this.#leases.delete(entry);
    }
  }

  /** What is said under the name next must be looked at, though it be what was said last: by another. */
  #forgetText(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      entry.lastDigest = undefined;
    }
  }

  #markDirty(name: string): void {
    this.#dirty.add(name);
    this.#options.onDirty();
  }
}
