/**
 * Grantee settler: writes down a moment later which machine alone may have been granted what is fenced, where that has changed
 * (fence-ledger.ts, identity-record.ts): no heartbeat waits for the store.
 *
 * Owns     the names that may have to be written, in memory. What is lost of them costs time alone: the record then names more
 *          machines than it must, and after a restart of the server none of them is granted before all grants have run out.
 * Callers  start-nodes.ts
 */
import { hasReason } from '../../api/errors.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';

export interface GranteeSettler {
  /** To be told of each name that is on another machine, or whose fenced Projects are granted to another. */
  look(name: string): void;
  /** @param settle as NodeService.settleGrantee */
  run(settle: (name: string) => Promise<void>, signal: AbortSignal): Promise<void>;
}

export function createGranteeSettler({ clock, random }: { readonly clock: Clock; readonly random: Random }): GranteeSettler {
  const names = new Set<string>();
  const wakeup = new Wakeup();
  const backoff = new Backoff({ baseMs: 500, capMs: 30_000 }, random);
  return {
    look: (name) => {
      names.add(name);
      wakeup.notify();
    },
    run: async (settle, signal) => {
      for (;;) {
        let waitMs = Infinity;
        try {
          for (const name of names) {
            await settle(name);
            names.delete(name);
          }
          backoff.reset();
        } catch (error) {
          if (!hasReason(error, 'Unavailable', 'Conflict', 'NotFound')) {
            throw error;
          }
          waitMs = backoff.nextMs();
        }
        await wakeup.wait(clock, waitMs, signal);
      }
    },
  };
}
