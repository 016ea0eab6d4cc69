/**
 * Node registry: which nodes there are, and the presence of each.
 *
 * Owns     per node: the newest record seen, the lease, the time of the last heartbeat, what was reported since the record was
 *          written; the set of nodes whose status must be derived again; who holds each name (name-holders.ts). All in memory.
 * Never    does I/O: heartbeats are presence, not documents. node-lifecycle.ts writes what changed. Never believes an agent's clock.
 * Callers  http/routes/heartbeats.ts; node-service.ts and node-lifecycle.ts, which tell it what they wrote before they answer.
 */
import { hash } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { Heartbeat, NodeObject, NodeStatus } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { TimeTexts } from '../../base/time-texts.ts';
import type { Change } from '../../store/store.ts';
import { FenceLedger } from './fence-ledger.ts';
import { LeaseTable, type Leased } from './lease-table.ts';
import { NameHolders } from './name-holders.ts';
import { granteeOf, type Party, type Rivalry } from './node-identity.ts';
import { deriveNodeStatus, isDisputed, isHeard, type Dispute, type LeaseState } from './node-state.ts';
import { ReportParts } from './report-parts.ts';
import { SharedConditions } from './shared-conditions.ts';
import { Tombstones } from './tombstones.ts';

/** How often the lifecycle loop must call `noticeTime`, in milliseconds. */
export const TICK_MS = 250;

/** ms; a gap this much longer than a tick is a stall of ours (a suspended process, a long GC, a slow disk) and not the nodes' fault. */
const STALL_MS = 500;

const NOT_HEARD = 0; // undefined would have V8 make an object of each beat's time, and mark the whole heap every few seconds for those

/** The latest that is known of a node beside its record. */
export interface Presence {
  readonly lease: LeaseState;
  /** RFC 3339 */
  readonly lastHeartbeat: string | undefined;
  /** wall ms at which the last lease ran out; undefined: none has since the server started */
  readonly silentSinceMs: number | undefined;
  /** reported since the record was written */
  readonly report: Heartbeat | undefined;
  readonly dispute: Dispute | undefined;
}

interface Entry extends Leased<Entry> {
  node: NodeObject;
  version: number;
  /** wall ms of the last heartbeat; NOT_HEARD: none since the server started. Always a number, as V8 then writes it in place */
  heardAtMs: number;
  /** wall ms of the last heartbeat that an earlier process took in, where the record has an older one */
  heardBeforeMs: number | undefined;
  /** wall ms at which the last lease ran out; undefined: none has since the server started */
  silentSinceMs: number | undefined;
  /** of the body of the last heartbeat: the same text again is the same report, and need not even be parsed. SHA-256, as a text is 1 KB */
  lastDigest: string | undefined;
  pending: Heartbeat | undefined;
  /** monotonic ms, whole; an agent that has just registered holds the name that long, though its first heartbeat is still to come */
  claimedUntilMs: number;
}

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
  readonly #entries = new Map<string, Entry>();
  readonly #leases: LeaseTable<Entry>;
  readonly #dirty = new Set<string>();
  readonly tombstones = new Tombstones();
  readonly holders: NameHolders;
  readonly fences: FenceLedger;
  readonly #times = new TimeTexts();
  readonly #parts = new ReportParts();
  readonly #conditions = new SharedConditions();
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
    const fresh: Entry = {
      // field by field: after a spread they would not lie in the object itself, which takes 24 bytes more
      leaseEndsMs: undefined,
      earlier: undefined,
      later: undefined,
      node,
      version,
      heardAtMs: NOT_HEARD,
      heardBeforeMs: undefined,
      silentSinceMs: undefined,
      lastDigest: undefined,
      pending: undefined,
      claimedUntilMs: 0,
    };
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

  presence(name: string): Presence {
    const entry = this.#entries.get(name);
    const heardAtMs = entry && heardAt(entry);
    const lastHeartbeat = heardAtMs === undefined ? entry?.node.status.lastHeartbeat : this.#times.write(heardAtMs);
    const lease = entry?.leaseEndsMs !== undefined ? 'Live' : lastHeartbeat === undefined ? 'Never' : 'Expired';
    return { lease, lastHeartbeat, silentSinceMs: entry?.silentSinceMs, report: entry?.pending, dispute: this.holders.findDispute(name) };
  }

  /** The status that the node should have by now. What a lease's end changes, changed when it ended, however late that is written. */
  deriveStatus({ metadata: { name }, spec, status: previous }: NodeObject, presence = this.presence(name)): NodeStatus {
    const silentSinceMs = presence.lease === 'Expired' && isHeard(previous) ? presence.silentSinceMs : undefined;
    const now = this.#times.write(silentSinceMs ?? this.#clock.wallMs());
    const facts = { name, spec, previous, ...presence, leaseMs: this.#options.heartbeatTimeoutMs, now };
    return deriveNodeStatus(facts, (condition) => this.#conditions.share(condition));
  }

  /**
   * The node as users see it: with the time of the last heartbeat, which the store does not have, and silent from the moment its lease
   * has run out: to write that down for a whole fleet takes seconds.
   */
  withPresence(node: NodeObject): NodeObject {
    const entry = this.#entries.get(node.metadata.name);
    const isSame = entry?.node.metadata.uid === node.metadata.uid;
    const isUnwritten = isSame && entry.silentSinceMs !== undefined && isHeard(node.status) && entry.leaseEndsMs === undefined;
    const status = isUnwritten ? this.deriveStatus(node) : node.status;
    const heardAtMs = isSame ? heardAt(entry) : undefined;
    const lastHeartbeat = heardAtMs === undefined ? status.lastHeartbeat : this.#times.write(heardAtMs);
    if (lastHeartbeat === undefined) {
      return node;
    }
    const conditions = status.conditions.map((condition) => ({ ...condition, lastHeartbeatTime: lastHeartbeat }));
    return { ...node, status: { ...status, lastHeartbeat, conditions } };
  }

  /** When each node was last heard, in wall-clock ms; `isNews`: by this process. */
  heardTimes(): readonly { readonly name: string; readonly atMs: number; readonly isNews: boolean }[] {
    return [...this.#entries].flatMap(([name, entry]) => {
      const atMs = heardAt(entry);
      return atMs === undefined ? [] : [{ name, atMs, isNews: entry.heardAtMs !== NOT_HEARD }];
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
  #endLease(entry: Entry | undefined): void {
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

/** wall ms of the last heartbeat that this process or an earlier one took in, where the record has an older one */
function heardAt({ heardAtMs, heardBeforeMs }: Entry): number | undefined {
  return heardAtMs === NOT_HEARD ? heardBeforeMs : heardAtMs;
}
