/**
 * Tunnel registry: the tunnels that agents have opened to this server.
 *
 * Owns     node -> its newest tunnel, and when each was last heard. A tunnel that is silent for 12 s is cut; agents ping every 4 s.
 * Never    sets a timer per tunnel: all are silent for equally long, so insertion order is deadline order (nodes/lease-table.ts).
 * Callers  http/routes/tunnel.ts adds; node-links.ts looks up. With several servers each has its own: the node's session lives at the
 *          one whose registry has it.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { TUNNEL_SILENCE_MS } from '../../base/tunnel-settings.ts';
import { WebSocketStream, type WebSocketOptions } from '../../base/web-socket.ts';
import { LeaseTable } from '../nodes/lease-table.ts';
import { Tunnel } from './tunnel.ts';

const SWEEP_MS = 1000;

export interface TunnelRegistryOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

interface Entry {
  readonly tunnel: Tunnel;
  /** names the lease: a node's former tunnel must not renew that of its next */
  readonly id: string;
  readonly openedAtMs: number;
}

export class TunnelRegistry {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #nodeById = new Map<string, string>();
  readonly #leases = new LeaseTable(TUNNEL_SILENCE_MS);
  readonly #waiting = new Map<string, Set<() => void>>();
  #count = 0;

  constructor({ clock, log }: TunnelRegistryOptions) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Tunnels that are open. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes in a node's tunnel, in place of the one before. */
  add(node: string, connection: Pick<WebSocketOptions, 'socket' | 'head'>): void {
    this.#count += 1;
    const id = String(this.#count);
    const onHeard = (): void => {
      if (this.#nodeById.has(id)) {
        this.#leases.renew(id, this.#clock.monotonicMs());
      }
    };
    const stream = new WebSocketStream({ ...connection, role: 'server', onHeard, endsWhole: true });
    const tunnel = new Tunnel(stream);
    const former = this.#entries.get(node);
    this.#entries.set(node, { tunnel, id, openedAtMs: this.#clock.monotonicMs() });
    this.#nodeById.set(id, node);
    this.#leases.renew(id, this.#clock.monotonicMs());
    former?.tunnel.close();
    stream.once('close', () => this.#forget(node, id));
    stream.resume(); // until there is a session: an end must be seen
    this.#log.debug({ node }, 'tunnel opened');
    for (const wake of this.#waiting.get(node) ?? []) {
      wake();
    }
  }

  find(node: string): Tunnel | undefined {
    return this.#entries.get(node)?.tunnel;
  }

  /** Waits until the node has a tunnel. @returns undefined when it has none after `ms` */
  async wait(node: string, ms: number, signal: AbortSignal): Promise<Tunnel | undefined> {
    const found = this.find(node);
    if (found !== undefined) {
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
    return this.find(node);
  }

  /** Cuts the node's tunnel, as when its record is deleted. */
  close(node: string): void {
    this.find(node)?.close();
  }

  /** Cuts tunnels that have fallen silent, until aborted; then all of them. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (let lookedAtMs = this.#clock.monotonicMs(); ;) {
        await this.#clock.sleep(SWEEP_MS, signal);
        const nowMs = this.#clock.monotonicMs();
        this.#leases.credit(Math.max(0, nowMs - lookedAtMs - SWEEP_MS)); // the server itself stood still
        lookedAtMs = nowMs;
        this.#leases.takeExpired(nowMs).forEach((id) => this.#cut(id));
      }
    } finally {
      for (const { tunnel } of this.#entries.values()) {
        tunnel.close();
      }
    }
  }

  #cut(id: string): void {
    const node = this.#nodeById.get(id) ?? '';
    const entry = this.#entries.get(node);
    if (entry?.id === id) {
      this.#log.info({ node }, 'tunnel fell silent');
      entry.tunnel.close();
    }
  }

  #forget(node: string, id: string): void {
    this.#nodeById.delete(id);
    this.#leases.delete(id);
    if (this.#entries.get(node)?.id === id) {
      this.#entries.delete(node);
      this.#log.debug({ node }, 'tunnel closed');
    }
  }
}
