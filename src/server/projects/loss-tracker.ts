/**
 * Loss tracker: since when this process has seen which nodes NotReady or without a record.
 *
 * Owns     node name -> monotonic times, in memory only: a restart forgets them on purpose, so that every wait begins anew.
 * Never    reads a clock or a time in a record.
 * Callers  project-watch.ts
 */
import type { NodeObject } from '../../api/node.ts';
import { type Loss, isSilent } from './node-loss.ts';

interface Seen {
  readonly lostSinceMs: number;
  readonly missingSinceMs: number | undefined;
  readonly wasSilent: boolean;
}

export class LossTracker {
  readonly #seenByNode = new Map<string, Seen>();

  /**
   * Notes how a node is now; `undefined`: it has no record.
   * @param nowMs monotonic
   */
  observe(name: string, node: NodeObject | undefined, nowMs: number): void {
    if (node !== undefined && node.status.state !== 'NotReady') {
      this.#seenByNode.delete(name);
      return;
    }
    const seen = this.#seenByNode.get(name);
    this.#seenByNode.set(name, {
      lostSinceMs: seen?.lostSinceMs ?? nowMs,
      missingSinceMs: node === undefined ? (seen?.missingSinceMs ?? nowMs) : undefined,
      wasSilent: node === undefined ? (seen?.wasSilent ?? false) : isSilent(node),
    });
  }

  /** undefined: when last observed, the node was neither NotReady nor gone. */
  find(name: string, nowMs: number): Loss | undefined {
    const seen = this.#seenByNode.get(name);
    return (
      seen && {
        lostForMs: nowMs - seen.lostSinceMs,
        missingForMs: seen.missingSinceMs === undefined ? undefined : nowMs - seen.missingSinceMs,
        wasSilent: seen.wasSilent,
      }
    );
  }

  /** Forgets a node without a record that no Project is left on. */
  forgetMissing(name: string): void {
    if (this.#seenByNode.get(name)?.missingSinceMs !== undefined) {
      this.#seenByNode.delete(name);
    }
  }
}
