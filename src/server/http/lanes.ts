/**
 * Lanes: who is served first when all come at once: agents, then people, then who asks for much. So many of each begin in a turn of the
 * event loop, that heartbeats, which wait in no lane, and everything else that has come are let in between.
 *
 * Owns     three queues, bounded in length and in time: who would wait for too long is told so at once, and when to come again.
 * Never    holds up a request where nothing else is under way.
 * Callers  app.ts, before a route runs; composition.ts spawns `run`.
 * Source   Kubernetes' API priority and fairness.
 */
import { ApiError } from '../../api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';

const LANES = ['agents', 'people', 'bulk'] as const; // the first goes first
export type Lane = (typeof LANES)[number];

interface Rule {
  /** begun in one turn of the event loop: some 20 ms of a lane's common requests */
  readonly perTurn: number;
  /** under way at a time */
  readonly atOnce: number;
  /** that may wait */
  readonly queue: number;
  /** ms that they may wait */
  readonly waitMs: number;
}

const RULES: Readonly<Record<Lane, Rule>> = {
  agents: { perTurn: 64, atOnce: Infinity, queue: 20_000, waitMs: 20_000 }, // a whole fleet, after a restart
  people: { perTurn: 32, atOnce: Infinity, queue: 4_000, waitMs: 10_000 },
  bulk: { perTurn: 1, atOnce: 4, queue: 1_000, waitMs: 10_000 }, // each holds a list, and a client may read it slowly
};

/** ms; who reads for longer than this, or does not read at all, keeps others out no more. */
const HOLD_MS = 5_000;
/** ms; who was refused comes again after one to five of them. */
const RETRY_MS = 1_000;

interface Waiting {
  readonly sinceMs: number;
  readonly proceed: (error?: ApiError) => void;
}

interface State {
  readonly rule: Rule;
  readonly queue: Waiting[];
  /** when each that is under way began; of lanes that are not bounded: none */
  readonly held: Set<{ readonly sinceMs: number }>;
  /** in this turn */
  begun: number;
}

/** Gives the place up. */
export type Leave = () => void;

export class Lanes {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #wakeup = new Wakeup();
  readonly #states: Readonly<Record<Lane, State>>;
  #isTurnKnown = false;
  #isOver = false;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
    const start = (lane: Lane): State => ({ rule: RULES[lane], queue: [], held: new Set(), begun: 0 });
    this.#states = { agents: start('agents'), people: start('people'), bulk: start('bulk') };
  }

  /** How many wait, over all. */
  get waiting(): number {
    return LANES.reduce((sum, lane) => sum + this.#states[lane].queue.length, 0);
  }

  /**
   * Waits for its turn; where it is its turn already there is no promise.
   * @returns gives the place up
   * @throws {ApiError} TooManyRequests in the lane of bulk, else Unavailable
   */
  enter(lane: Lane): Promise<Leave> | Leave {
    const state = this.#states[lane];
    const nowMs = this.#clock.monotonicMs();
    if (this.#mayBegin(lane, nowMs)) {
      return this.#begin(state, nowMs);
    }
    if (state.queue.length >= state.rule.queue) {
      throw this.#refusal(lane);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Leave>();
    const proceed: Waiting['proceed'] = (error) =>
      error === undefined ? resolve(this.#begin(state, this.#clock.monotonicMs())) : reject(error);
    state.queue.push({ sinceMs: nowMs, proceed });
    this.#wakeup.notify();
    return promise;
  }

  /** Lets in whoever waits, turn by turn, until `signal` aborts: then at once whoever still waits, and whoever comes. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#wakeup.wait(this.#clock, this.#nextMs(), signal);
        await this.#clock.sleep(0, signal);
        this.#isTurnKnown = false;
        LANES.forEach((lane) => (this.#states[lane].begun = 0));
        this.#letIn();
        if (this.#mayLetIn()) {
          this.#wakeup.notify();
        }
      }
    } finally {
      this.#isOver = true; // what has arrived is answered before the server ends
      LANES.forEach((lane) => this.#states[lane].queue.splice(0).forEach(({ proceed }) => proceed()));
    }
  }

  #letIn(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const lane of LANES) {
      const { queue, rule } = this.#states[lane];
      let taken = 0;
      for (const { sinceMs, proceed } of queue) {
        if (nowMs - sinceMs >= rule.waitMs) {
          proceed(this.#refusal(lane));
        } else if (this.#hasRoom(lane, nowMs)) {
          proceed();
        } else {
          break;
        }
        taken += 1;
      }
      queue.splice(0, taken);
      if (queue.length > 0) {
        return; // the lanes behind wait until nobody does here
      }
    }
  }

  /** Whether the next turn lets somebody in. */
  #mayLetIn(): boolean {
    const nowMs = this.#clock.monotonicMs();
    return LANES.some((lane) => this.#states[lane].queue.length > 0 && this.#countHeld(lane, nowMs) < RULES[lane].atOnce);
  }

  #mayBegin(lane: Lane, nowMs: number): boolean {
    const before = LANES.slice(0, LANES.indexOf(lane) + 1);
    return before.every((one) => this.#states[one].queue.length === 0) && this.#hasRoom(lane, nowMs);
  }

  #hasRoom(lane: Lane, nowMs: number): boolean {
    const { begun, rule } = this.#states[lane];
    return this.#isOver || (begun < rule.perTurn && this.#countHeld(lane, nowMs) < rule.atOnce);
  }

  #countHeld(lane: Lane, nowMs: number): number {
    const { held } = this.#states[lane];
    for (const place of held) {
      if (nowMs - place.sinceMs < HOLD_MS) {
        break; // in the order in which they began
      }
      held.delete(place);
    }
    return held.size;
  }

  #begin(state: State, sinceMs: number): Leave {
    state.begun += 1;
    if (!this.#isTurnKnown) {
      this.#isTurnKnown = true;
      this.#wakeup.notify(); // the end of this turn is to be noticed
    }
    if (state.rule.atOnce === Infinity) {
      return () => undefined;
    }
    const place = { sinceMs };
    state.held.add(place);
    return () => {
      if (state.held.delete(place)) {
        this.#wakeup.notify();
      }
    };
  }

  /** How long until somebody has waited, or held a place, for too long. */
  #nextMs(): number {
    const nowMs = this.#clock.monotonicMs();
    const deadlines = LANES.flatMap((lane) => {
      const { queue, held, rule } = this.#states[lane];
      const [first] = queue;
      const [oldest] = held;
      return first === undefined ? [] : [first.sinceMs + rule.waitMs, (oldest?.sinceMs ?? Infinity) + HOLD_MS];
    });
    return Math.max(0, Math.min(Infinity, ...deadlines) - nowMs);
  }

  #refusal(lane: Lane): ApiError {
    const retryAfterMs = RETRY_MS * (1 + Math.floor(this.#random.next() * 5)); // apart, or they all come again at once
    const waiting = this.#states[lane].queue.length;
    const again = `try again in ${retryAfterMs / 1000} s`;
    return lane === 'bulk'
      ? new ApiError(
          'TooManyRequests',
          `Cannot list now as ${waiting} such requests wait already: ${again}, and page with limit and continue`,
          {
            retryAfterMs,
          },
        )
      : new ApiError('Unavailable', `Cannot answer now as ${waiting} requests wait already, more than this server can take: ${again}`, {
          retryAfterMs,
        });
  }
}
