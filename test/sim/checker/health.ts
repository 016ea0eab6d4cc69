/**
 * Promise 6: no node that beats is called silent, and every silent one is within a second of its timeout. Time in which the server itself
 * was down or stood still counts for nobody: a node is called silent only after a timeout's time in which it could have been heard.
 */
import type { NodeObject } from '../../../src/api/node.ts';
import { NODE_TIMEOUT_MS, type World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const SLACK_MS = 1000;
const COUNTING_SLACK_MS = 3000; // stops of the server are counted in seconds, and the shortest of them are not credited

export class HealthChecker {
  readonly #world: World;
  readonly #violate: (text: string) => void;
  /** node -> when the server took in its last heartbeat */
  readonly #beats = new Map<string, number>();
  /** node -> how long the server had stood still in all by then */
  readonly #stoodByThen = new Map<string, number>();
  #stoodStillMs = 0;
  #upSinceMs = 0;
  /** since when, and until when, the server that is up, or was last, has been seen so */
  #life = { fromMs: 0, untilMs: 0 };
  #tickedAtMs = 0;
  /** nodes that are called silent */
  readonly #silent = new Set<string>();
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
      if (object.kind === 'Node') {
        this.#checkTransition(object as NodeObject, atMs);
      }
    });
    world.answerListeners.add(({ server, method, path, status, isChallenge, askedAtMs }) => {
      const name = /^\/api\/v1\/nodes\/([^/]+)\/heartbeat$/u.exec(path)?.[1];
      // what an earlier leader still heard, nobody counts with, nor with what was handed on to it by who leads now
      const isLeaders = world.server.leader?.name === server && askedAtMs >= world.server.leadsSinceMs;
      if (method === 'POST' && status === 204 && !isChallenge && name !== undefined && isLeaders) {
        const nowMs = world.clock.monotonicMs();
        this.#beats.set(name, nowMs);
        this.#stoodByThen.set(name, this.#stoodStillMs);
        const all = this.#allBeats.get(name) ?? [];
        all.push(nowMs);
        this.#allBeats.set(name, all);
      }
    });
  }

  /** Since when the server has run without a stop; undefined: it does not. */
  get steadySinceMs(): number | undefined {
    return this.#steadySinceMs;
  }

  /** To be called once a second. */
  tick(nodes: readonly NodeObject[]): void {
    const { server, clock } = this.#world;
    const nowMs = clock.monotonicMs();
    this.#stoodStillMs += server.isPaused ? nowMs - this.#tickedAtMs : 0;
    this.#upSinceMs = server.isUp ? Math.max(this.#upSinceMs, server.leadsSinceMs) : nowMs;
    this.#life = server.isUp ? { fromMs: this.#upSinceMs, untilMs: nowMs } : this.#life;
    this.#tickedAtMs = nowMs;
    if (!server.isUp || server.isPaused || server.isStoreStalled) {
      this.#steadySinceMs = undefined;
      return;
    }
    this.#steadySinceMs = Math.max(this.#steadySinceMs ?? nowMs, server.leadsSinceMs);
    for (const node of nodes) {
      this.#check(node, nowMs, this.#steadySinceMs);
    }
  }

  #checkTransition({ metadata: { name, resourceVersion }, status: { conditions } }: NodeObject, nowMs: number): void {
    const isSilent = conditions.some(
      ({ type, status, reason }) => type === 'NoHeartbeat' && status === 'True' && reason === 'HeartbeatTimeout',
    );
    const wasSilent = this.#silent.has(name);
    this.#silent[isSilent ? 'add' : 'delete'](name);
    const stoodStillMs = this.#stoodStillMs - (this.#stoodByThen.get(name) ?? 0);
    // of several servers: since the leadership began under which this was written, however late
    const { database, server } = this.#world;
    const heardSinceMs =
      database === undefined
        ? Math.max(this.#life.fromMs, server.leader?.startedAtMs ?? 0)
        : (database.leadershipAt(Number(resourceVersion))?.atMs ?? 0);
    // what a server wrote before it was killed may be stored when a stall of the store ends
    const heardUntilMs = database === undefined && !server.isUp ? this.#life.untilMs : nowMs;
    const silentMs = heardUntilMs - Math.max(this.#lastBeatBefore(name, nowMs - SLACK_MS) + stoodStillMs, heardSinceMs);
    const wasHeldBack = this.#heldBackFrom(name, nowMs) >= NODE_TIMEOUT_MS - COUNTING_SLACK_MS;
    if (isSilent && !wasSilent && !wasHeldBack && silentMs < NODE_TIMEOUT_MS - COUNTING_SLACK_MS) {
      this.#violate(`promise 6: ${name} is called silent after ${Math.round(silentMs)} ms in which it could have been heard`);
    }
  }

  /** One that comes while the silence before it is written down ends that, but does not undo it. */
  #lastBeatBefore(name: string, atMs: number): number {
    return this.#allBeats.get(name)?.findLast((beatMs) => beatMs <= atMs) ?? 0;
  }

  /** What is written now may have been found before the store stalled, or while it did: the longest silence by then, in milliseconds. */
  #heldBackFrom(name: string, nowMs: number): number {
    const { stalledFromMs, stalledUntilMs } = this.#world.server;
    if (nowMs > stalledUntilMs + SLACK_MS) {
      return 0;
    }
    const beats = this.#allBeats.get(name) ?? [];
    const gaps = beats.map((atMs, index) => (atMs < stalledFromMs ? 0 : atMs - (beats[index - 1] ?? atMs)));
    return Math.max(0, ...gaps.slice(-20), nowMs - (beats.at(-1) ?? nowMs)); // also by a process that was killed meanwhile
  }

  #check({ metadata: { name }, status: { state, conditions } }: NodeObject, nowMs: number, steadySinceMs: number): void {
    const madeAtMs = this.#made.get(name) ?? 0;
    const beatAtMs = this.#beats.get(name) ?? -Infinity;
    const silentMs = nowMs - beatAtMs;
    const isSilent = conditions.find(({ type }) => type === 'NoHeartbeat')?.status === 'True';
    // a beat that an earlier process or leader took in, and could not write down any more, is known to nobody
    const isSettled = nowMs - Math.max(steadySinceMs, madeAtMs) > 2 * SLACK_MS && beatAtMs > Math.max(madeAtMs, this.#upSinceMs);
    if (isSettled && isSilent && silentMs > SLACK_MS && silentMs < NODE_TIMEOUT_MS) {
      this.#violate(`promise 6: ${name} is called silent though it beat ${silentMs} ms ago`);
    }
    const judgedFromMs = Math.max(beatAtMs, steadySinceMs, madeAtMs);
    if (!isSilent && nowMs - judgedFromMs > NODE_TIMEOUT_MS + 2 * SLACK_MS) {
      this.#violate(`promise 6: ${name} is ${state} though it has been silent for ${silentMs} ms`);
    }
  }
}
