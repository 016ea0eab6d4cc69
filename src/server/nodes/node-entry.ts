/**
 * Node entry: what the registry holds of one node. A fleet has up to a million, and each beat writes into one: the fields keep their kinds.
 *
 * Callers  node-registry.ts, which owns them all and alone writes into them; node-view.ts reads.
 */
import type { Heartbeat, NodeObject } from '../../api/node.ts';
import type { Leased } from './lease-table.ts';

const NOT_HEARD = 0; // undefined would have V8 make an object of each beat's time, and mark the whole heap every few seconds for those

export interface NodeEntry extends Leased<NodeEntry> {
  /** the newest record seen */
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
  /** what was reported since the record was written */
  pending: Heartbeat | undefined;
  /** monotonic ms, whole; an agent that has just registered holds the name that long, though its first heartbeat is still to come */
  claimedUntilMs: number;
}

/** Makes the entry of a node that has not been heard. */
export function makeEntry(node: NodeObject, version: number): NodeEntry {
  return {
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
}

/** Whether this process has taken in a heartbeat of the node. */
export function isHeardNow({ heardAtMs }: NodeEntry): boolean {
  return heardAtMs !== NOT_HEARD;
}

/** wall ms of the last heartbeat that this process or an earlier one took in, where the record has an older one */
export function heardAt(entry: NodeEntry): number | undefined {
  return isHeardNow(entry) ? entry.heardAtMs : entry.heardBeforeMs;
}
