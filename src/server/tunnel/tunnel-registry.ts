/**
 * Tunnel registry: the tunnels that agents have opened to this server.
 *
 * Owns     node -> its newest tunnel, and when each was last heard. A tunnel that is silent for 12 s is cut; agents ping every 4 s.
 * Never    sets a timer per tunnel: all are silent for equally long, so a list in order of the last sign is one of deadlines (nodes/lease-table.ts).
 * Callers  http/routes/tunnel.ts adds; node-links.ts looks up. With several servers each has its own: the node's session lives at the
 *          one whose registry has it.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { TUNNEL_SILENCE_MS } from '../../base/tunnel-settings.ts';
import { WebSocketStream, type WebSocketOptions } from '../../base/web-socket.ts';
import { LeaseTable, NO_LEASE, type Leased } from '../nodes/lease-table.ts';
import { Tunnel } from './tunnel.ts';

const SWEEP_MS = 1000;
// An agent that has lost its tunnel tries again after 15 s at most (agent/session/tunnel.ts), one that was restarted as soon as it has registered.
const EXPECTED_MS = 20_000;
const UNEXPECTED_MS = 5000; // one that has had none for longer: it may just have registered

export interface TunnelRegistryOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A tunnel; its lease is its own, as a node's former tunnel must not renew that of its next. */
interface Entry extends Leased<Entry> {
  readonly node: string;
  readonly tunnel: Tunnel;
}

export class TunnelRegistry {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #leases = new LeaseTable<Entry>(TUNNEL_SILENCE_MS);
  readonly #waiting = new Map<string, Set<() => void>>();
  /** node -> when its tunnel went, in monotonic milliseconds; for those that have none */
  readonly #lostAtMs = new Map<string, number>();
  readonly #startedAtMs: number;

  constructor({ clock, log }: TunnelRegistryOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#startedAtMs = clock.monotonicMs();
  }

  /** Tunnels that are open. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes in a node's tunnel, in place of the one before. */
  add(node: string, connection: Pick<WebSocketOptions, 'socket' | 'head'>): void {
    const onHeard = (): void => {
      if (entry.leaseEndsMs !== undefined) {
        this.#leases.renew(entry, this.#clock.monotonicMs());
      }
    };
    const stream = new WebSocketStream({ ...connection, role: 'server', onHeard, endsWhole: true });
    const entry: Entry = { node, tunnel: new Tunnel(stream), ...NO_LEASE };
    const former = this.#entries.get(node);
    this.#entries.set(node, entry);
    this.#lostAtMs.delete(node);
    this.#leases.renew(entry, this.#clock.monotonicMs());
    former?.tunnel.close();
    stream.once('close', () => this.#forget(entry));
    stream.resume(); // until there is a session: an end must be seen
    this.#log.debug({ node }, 'tunnel opened');
    for (const wake of this.#waiting.get(node) ?? []) {
      wake();
    }
  }

  find(node: string): Tunnel | undefined {
    return this.#entries.get(node)?.tunnel;
  }

  /** How long it is worth waiting for a tunnel of a node that is well, in milliseconds: agents come back by themselves. */
  patienceMs(node: string): number {
    const lostAtMs = this.#lostAtMs.get(node) ?? this.#startedAtMs;
    return Math.max(UNEXPECTED_MS, lostAtMs + EXPECTED_MS - this.#clock.monotonicMs());
  }

  /** Waits until the node has a tunnel. @param avoided one that has just failed @returns undefined when it has none after `ms` */
  async wait(
    node: string,
    { ms, avoided }: { readonly ms: number; readonly avoided?: unknown },
    signal: AbortSignal,
  ): Promise<Tunnel | undefined> {
    const found = this.find(node);
    if (found !== undefined && found !== avoided) {
      return found;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(node) ?? new Set();
    this.#waiting.set(node, waiting.add(resolve));
    const timer = new AbortController();
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#clock.sleep(ms, timer.signal).then(resolve, () => undefined);
    await promise;
    timer.abort();
    signal.removeEventListener('abort', onAbort);
    waiting.delete(resolve);
    if (waiting.size === 0) {
      this.#waiting.delete(node);
    }
    signal.throwIfAborted();
    const late = this.find(node);
    return late === avoided ? undefined : late;
  }

  /** Cuts the node's tunnel, as when whoever opened it may not any more. */
  close(node: string): void {
    this.find(node)?.close();
  }

  /** Cuts the node's tunnel and forgets that there was one, as when its record is deleted. */
  drop(node: string): void {
    const entry = this.#entries.get(node);
    if (entry !== undefined) {
      entry.tunnel.close();
      this.#forget(entry);
    }
    this.#lostAtMs.delete(node);
  }

  /** Cuts tunnels that have fallen silent, until aborted; then all of them. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (let lookedAtMs = this.#clock.monotonicMs(); ;) {
        await this.#clock.sleep(SWEEP_MS, signal);
        const nowMs = this.#clock.monotonicMs();
        this.#leases.credit(Math.max(0, nowMs - lookedAtMs - SWEEP_MS)); // the server itself stood still
        lookedAtMs = nowMs;
        this.#leases.takeExpired(nowMs).forEach((entry) => this.#cut(entry));
      }
    } finally {
      for (const { tunnel } of this.#entries.values()) {
        tunnel.close();
      }
    }
  }

  #cut(entry: Entry): void {
    const { node, tunnel } = entry;
    if (this.#entries.get(node) === entry) {
      this.#log.info({ node }, 'tunnel fell silent');
      tunnel.close();
    }
  }

  #forget(entry: Entry): void {
    const { node } = entry;
    this.#leases.delete(entry);
    if (this.#entries.get(node) === entry) {
      this.#entries.delete(node);
      this.#lostAtMs.set(node, this.#clock.monotonicMs());
      this.#log.debug({ node }, 'tunnel closed');
    }
  }
}
