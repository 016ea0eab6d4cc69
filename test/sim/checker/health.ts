/**
 * Promise 6: no node that beats is called silent, and every silent one is within a second of its timeout. Time in which the server itself
 * was down or stood still counts for nobody.
 */
import type { NodeObject } from '../../../src/api/node.ts';
import { NODE_TIMEOUT_MS, type World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const SLACK_MS = 1000;

export class HealthChecker {
  readonly #world: World;
  readonly #violate: (text: string) => void;
  /** node -> when the server took in its last heartbeat */
  readonly #beats = new Map<string, number>();
  /** node -> when it took in all of them */
  readonly #allBeats = new Map<string, number[]>();
  /** node -> when its record was made */
  readonly #made = new Map<string, number>();
  /** since when the server has run without a stop; undefined: it does not */
  #steadySinceMs: number | undefined;

  constructor(world: World, chronicle: Chronicle, violate: (text: string) => void) {
    this.#world = world;
    this.#violate = violate;
    chronicle.onChange(({ atMs, change: { type, object } }) => {
      if (object.kind === 'Node' && type === 'ADDED') {
        this.#made.set(object.metadata.name, atMs);
      }
    });
    world.answerListeners.add(({ method, path, status }) => {
      const name = /^\/api\/v1\/nodes\/([^/]+)\/heartbeat$/u.exec(path)?.[1];
      if (method === 'POST' && status === 204 && name !== undefined) {
        const nowMs = world.clock.monotonicMs();
        this.#beats.set(name, nowMs);
        const all = this.#allBeats.get(name) ?? [];
        all.push(nowMs);
        this.#allBeats.set(name, all);
      }
    });
  }

  /** When the node's first heartbeat after `sinceMs` came in. */
  firstBeatSince(node: string, sinceMs: number): number | undefined {
    return this.#allBeats.get(node)?.find((atMs) => atMs > sinceMs);
  }

  /** To be called once a second. */
  tick(nodes: readonly NodeObject[]): void {
    const { server, clock } = this.#world;
    const nowMs = clock.monotonicMs();
    if (!server.isUp || server.isPaused || server.isStoreStalled) {
      this.#steadySinceMs = undefined;
      return;
    }
    this.#steadySinceMs ??= nowMs;
    for (const node of nodes) {
      this.#check(node, nowMs, this.#steadySinceMs);
    }
  }

  #check({ metadata: { name }, status: { state, conditions } }: NodeObject, nowMs: number, steadySinceMs: number): void {
    const madeAtMs = this.#made.get(name) ?? 0;
    const beatAtMs = this.#beats.get(name) ?? -Infinity;
    const silentMs = nowMs - beatAtMs;
    const isSilent = conditions.find(({ type }) => type === 'NoHeartbeat')?.status === 'True';
    const isSettled = nowMs - Math.max(steadySinceMs, madeAtMs) > 2 * SLACK_MS && beatAtMs > madeAtMs;
    if (isSettled && isSilent && silentMs > SLACK_MS && silentMs < NODE_TIMEOUT_MS) {
      this.#violate(`promise 6: ${name} is called silent though it beat ${silentMs} ms ago`);
    }
    const judgedFromMs = Math.max(beatAtMs, steadySinceMs, madeAtMs);
    if (!isSilent && nowMs - judgedFromMs > NODE_TIMEOUT_MS + 2 * SLACK_MS) {
      this.#violate(`promise 6: ${name} is ${state} though it has been silent for ${silentMs} ms`);
    }
  }
}
