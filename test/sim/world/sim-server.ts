/** A server's machine: the real server on a store that outlives the process, alone or as one of several. */
import type { Clock } from '../../../src/base/clock.ts';
import { loadConfig } from '../../../src/base/config.ts';
import type { Logger } from '../../../src/base/log.ts';
import '../../../src/server/cluster/start-cluster.ts'; // main.ts loads it late: by then nothing may wait for a real disk
import { serverSettings } from '../../../src/server/config.ts';
import { startServer } from '../../../src/server/main.ts';
import type { ServerPorts } from '../../../src/server/ports.ts';
import type { Store } from '../../../src/store/store.ts';
import { openFollowingStore } from './following-store.ts';
import { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { DatabaseLine, SimDatabase } from './sim-database.ts';
import { createForwarding } from './sim-forwarding.ts';
import type { Listener, NetworkOptions } from './sim-network.ts';

const SHARED_KEY = Buffer.alloc(32, 7).toString('base64');

/** What stalls the disk under the store, for all servers alike. */
export interface StoreStall {
  /** undefined: it answers */
  readonly ended: () => Promise<unknown> | undefined;
}

export interface SimServerOptions {
  readonly name: string;
  readonly url: string;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** its own, or that of several */
  readonly storage: { readonly store: Store } | { readonly database: SimDatabase };
  readonly stall: StoreStall;
  readonly network: () => NetworkOptions;
  /** whether nothing gets through between it and another server */
  readonly isCutFrom: (server: string) => boolean;
  readonly log: Logger;
  readonly heartbeatTimeout: string;
  readonly onBug: (where: string, error: unknown) => void;
}

export class SimServer {
  readonly name: string;
  readonly databaseLine: DatabaseLine;
  readonly #options: SimServerOptions;
  readonly #config;
  #life: Life | undefined;
  #listener: Listener | undefined;
  #starts = 0;
  /** when it was last started */
  startedAtMs = 0;
  aheadMs = 0;
  /** nothing gets through between it and agents */
  isCutFromAgents = false;
  /** nothing gets through between it and other servers */
  isCutFromPeers = false;

  constructor(options: SimServerOptions) {
    const { name, url, random, heartbeatTimeout } = options;
    this.name = name;
    this.#options = options;
    this.databaseLine = { server: name, random: random.fork('database line'), isCut: false, maxDelayMs: 10 };
    const isShared = 'database' in options.storage;
    this.#config = loadConfig(serverSettings({ env: {}, isRoot: true }), {
      argv: [],
      env: {
        PORT: '0',
        NODE_HEARTBEAT_TIMEOUT: heartbeatTimeout,
        ...(isShared && { SERVER_NAME: name, ADVERTISE_URL: url, SECRETS_KEY: SHARED_KEY }),
      },
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

  /** It listens as soon as it is up, which with several of them takes time. */
  start(): void {
    if (this.#life !== undefined) {
      return;
    }
    const { clock: worldClock, random, onBug } = this.#options;
    const life = new Life();
    this.#life = life;
    this.startedAtMs = worldClock.monotonicMs();
    const clock: Clock = life.clock(worldClock, { aheadMs: () => this.aheadMs });
    const ownRandom = random.fork(`start ${(this.#starts += 1)}`);
    const starting = this.#openStorage(life, ownRandom).then(
      async (storage) =>
        await startServer({ config: this.#config, clock, random: ownRandom, log: this.#options.log, listen: false, ...storage }),
    );
    void life.guard(starting).then(
      async (server) => {
        await server.app.ready();
        this.#listener = { name: this.name, server, life, isCutOff: () => this.isCutFromAgents };
        void life.guard(server.failed).then((error) => onBug(this.name, error));
      },
      (error: unknown) => onBug(`start of ${this.name}`, error),
    );
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

  async #openStorage(life: Life, random: SeededRandom): Promise<Pick<ServerPorts, 'store' | 'cluster'>> {
    const { storage, clock, stall, isCutFrom, network } = this.#options;
    if ('store' in storage) {
      return { store: life.guardAll(this.#stallable(storage.store)) };
    }
    const { database } = storage;
    const store = await openFollowingStore({ database, line: this.databaseLine, clock, life, stall: stall.ended });
    const request = createForwarding({
      clock,
      random: random.fork('forwarding'),
      life,
      server: this.name,
      network: network(),
      isCut: isCutFrom,
    });
    const openSession = async () => life.guardAll(await life.guard(database.openSession(this.databaseLine, life)));
    return { store: life.guardAll(store), cluster: { openSession, request } };
  }

  #stallable(store: Store): Store {
    const { stall } = this.#options;
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'commit') {
          return async (...args: Parameters<Store['commit']>) => {
            await stall.ended();
            return await target.commit(...args);
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}
