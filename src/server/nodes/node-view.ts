/**
 * Node view: a node as it is by now: its record, and over it what only memory has, the time of the last heartbeat and the end of its lease.
 *
 * Owns     the texts and conditions that nodes share, so that a fleet's are made and kept once.
 * Never    changes what is known of a node.
 * Callers  http/routes/nodes.ts and tunnel/start-links.ts, for users; node-lifecycle.ts and node-service.ts, for what is to be stored;
 *          projects/project-controller.ts, before it gives a node up.
 */
import { findCondition } from '../../api/condition.ts';
import type { Heartbeat, NodeObject, NodeStatus } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import { TimeTexts } from '../../base/time-texts.ts';
import { heardAt, type NodeEntry } from './node-entry.ts';
import { deriveNodeStatus, isHeard, type Dispute, type LeaseState } from './node-state.ts';
import { SharedConditions } from './shared-conditions.ts';

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

interface NodeViewOptions {
  readonly clock: Clock;
  /** ms */
  readonly heartbeatTimeoutMs: number;
  readonly findEntry: (name: string) => NodeEntry | undefined;
  readonly findDispute: (name: string) => Dispute | undefined;
}

export class NodeView {
  readonly #options: NodeViewOptions;
  readonly #times = new TimeTexts();
  readonly #conditions = new SharedConditions();

  constructor(options: NodeViewOptions) {
    this.#options = options;
  }

  presence(name: string): Presence {
    const entry = this.#options.findEntry(name);
    const heardAtMs = entry && heardAt(entry);
    const lastHeartbeat = heardAtMs === undefined ? entry?.node.status.lastHeartbeat : this.#times.write(heardAtMs);
    const lease = entry?.leaseEndsMs !== undefined ? 'Live' : lastHeartbeat === undefined ? 'Never' : 'Expired';
    const dispute = this.#options.findDispute(name);
    return { lease, lastHeartbeat, silentSinceMs: entry?.silentSinceMs, report: entry?.pending, dispute };
  }

  /** Whether the node is in another state by now than its record says, or is heard again, and that is yet to be written. */
  isOutdated(node: NodeObject): boolean {
    const { state, conditions } = this.deriveStatus(node);
    const silence = findCondition(conditions, 'NoHeartbeat')?.status;
    return state !== node.status.state || silence !== findCondition(node.status.conditions, 'NoHeartbeat')?.status;
  }

  /** The status that the node should have by now. What a lease's end changes, changed when it ended, however late that is written. */
  deriveStatus({ metadata: { name }, spec, status: previous }: NodeObject, presence = this.presence(name)): NodeStatus {
    const silentSinceMs = presence.lease === 'Expired' && isHeard(previous) ? presence.silentSinceMs : undefined;
    const now = this.#times.write(silentSinceMs ?? this.#options.clock.wallMs());
    const facts = { name, spec, previous, ...presence, leaseMs: this.#options.heartbeatTimeoutMs, now };
    return deriveNodeStatus(facts, (condition) => this.#conditions.share(condition));
  }

  /**
   * The node as users see it: with the time of the last heartbeat, which the store does not have, and silent from the moment its lease
   * has run out: to write that down for a whole fleet takes seconds.
   */
  withPresence(node: NodeObject): NodeObject {
    const entry = this.#options.findEntry(node.metadata.name);
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
}
