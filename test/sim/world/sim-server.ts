/** The control plane's machine: a store that outlives the process, and the real server on it. */
import type { Clock } from '../../../src/base/clock.ts';
import { loadConfig } from '../../../src/base/config.ts';
import type { Logger } from '../../../src/base/log.ts';
import { serverSettings } from '../../../src/server/config.ts';
import { startServer } from '../../../src/server/main.ts';
import type { Store } from '../../../src/store/store.ts';
import { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { Listener } from './sim-network.ts';

export interface SimServerOptions {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly store: Store;
  readonly log: Logger;
  readonly heartbeatTimeout: string;
  readonly onBug: (where: string, error: unknown) => void;
}

export class SimServer {
  readonly #options: SimServerOptions;
  readonly #config;
  #life: Life | undefined;
  #listener: Listener | undefined;
  #starts = 0;
  /** commits wait for it: a disk that does not answer */
  #storeStall: Promise<unknown> | undefined;
  /** of the last stall, in virtual milliseconds */
  stalledFromMs = -Infinity;
  stalledUntilMs = -Infinity;
  aheadMs = 0;

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.#config = loadConfig(serverSettings({ env: {}, isRoot: true }), {
      argv: [],
      env: { PORT: '0', NODE_HEARTBEAT_TIMEOUT: options.heartbeatTimeout },
    });
  }

  /** Undefined while it is down, or not yet up. */
  listener(): Listener | undefined {
    return this.#listener;
  }

  get isUp(): boolean {
    return this.#listener !== undefined;
  }

  get isPaused(): boolean {
    return this.#life?.isPaused === true;
  }

  get isStoreStalled(): boolean {
    return this.#storeStall !== undefined;
  }

  /** Resolves when it listens, or has been killed before. */
  async start(): Promise<void> {
    if (this.#life !== undefined) {
      return;
    }
    const { clock: worldClock, random, log, onBug } = this.#options;
    const life = new Life();
    this.#life = life;
    const clock: Clock = life.clock(worldClock, { aheadMs: () => this.aheadMs });
    const starting = startServer({
      config: this.#config,
      clock,
      random: random.fork(`start ${(this.#starts += 1)}`),
      log,
      store: life.guardAll(this.#stallable()),
      listen: false,
    });
    const guarded = life.guard(starting).then(
      async (server) => {
        await server.app.ready();
        this.#listener = { server, life };
        void life.guard(server.failed).then((error) => onBug('server', error));
      },
      (error: unknown) => onBug('start of the server', error),
    );
    await Promise.race([guarded, new Promise((resolve) => life.signal.addEventListener('abort', resolve, { once: true }))]);
  }

  /** kill -9. */
  kill(): void {
    this.#life?.end();
    this.#life = undefined;
    this.#listener = undefined;
  }

  pause(): void {
    this.#life?.pause();
  }

  resume(): void {
    this.#life?.resume();
  }

  /** Writes wait for `ms`. */
  stallStore(ms: number): void {
    this.stalledFromMs = this.isStoreStalled ? this.stalledFromMs : this.#options.clock.monotonicMs();
    this.stalledUntilMs = this.#options.clock.monotonicMs() + ms;
    this.#storeStall = this.#options.clock.sleep(ms, new AbortController().signal).then(() => (this.#storeStall = undefined));
  }

  #stallable(): Store {
    const { store } = this.#options;
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'commit') {
          return async (...args: Parameters<Store['commit']>) => {
            await this.#storeStall;
            return await target.commit(...args);
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}
