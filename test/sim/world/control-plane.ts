/**
 * The control plane: one server, or several on one database, and what can be said of them together: who leads, and since when that has
 * gone on without a hitch.
 *
 * Owns     the servers, and the stall of the disk under their store.
 */
import type { Store } from '../../../src/store/store.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimDatabase } from './sim-database.ts';
import type { Listener } from './sim-network.ts';
import { SimServer, type SimServerOptions } from './sim-server.ts';

const FIRST_PORT = 8080;

export interface ControlPlaneOptions extends Pick<SimServerOptions, 'clock' | 'log' | 'heartbeatTimeout' | 'onBug' | 'network'> {
  readonly random: SeededRandom;
  readonly storage: { readonly store: Store } | { readonly database: SimDatabase };
  readonly count: number;
}

export class ControlPlane {
  readonly servers: readonly SimServer[];
  readonly #clock: SimClock;
  readonly #database: SimDatabase | undefined;
  readonly #hosts = new Map<string, SimServer>();
  /** commits wait for it: a disk that does not answer */
  #storeStall: Promise<unknown> | undefined;
  /** of the last stall, in virtual milliseconds */
  stalledFromMs = -Infinity;
  stalledUntilMs = -Infinity;

  constructor(options: ControlPlaneOptions) {
    const { clock, count, random, storage } = options;
    this.#clock = clock;
    this.#database = 'database' in storage ? storage.database : undefined;
    this.servers = Array.from({ length: count }, (_, index) => {
      const host = `127.0.0.1:${FIRST_PORT + index}`;
      const name = `server-${index + 1}`;
      const server = new SimServer({
        ...options,
        name,
        url: `http://${host}`,
        random: random.fork(name),
        stall: { ended: () => this.#storeStall },
        isCutFrom: (other) => server.isCutFromPeers || this.find(other).isCutFromPeers,
        log: options.log.child({ machine: name }),
      });
      this.#hosts.set(host, server);
      return server;
    });
  }

  /** As agents are told. */
  get url(): string {
    return [...this.#hosts.keys()].map((host) => `http://${host}`).join(',');
  }

  get urls(): readonly string[] {
    return this.url.split(',');
  }

  listener(host: string): Listener | undefined {
    return this.#hosts.get(host)?.listener();
  }

  /** The one of that name; the first where there is none. */
  find(name: string): SimServer {
    const found = this.servers.find((server) => server.name === name) ?? this.servers[0];
    if (found === undefined) {
      throw new Error('Cannot simulate without a server');
    }
    return found;
  }

  /** The server that leads, by its own record and by the lock; undefined: none does, as far as anybody can tell. */
  get leader(): SimServer | undefined {
    if (this.#database === undefined) {
      return this.servers[0];
    }
    const { leadership, lockHolder } = this.#database;
    const server = leadership === undefined ? undefined : this.find(leadership.server);
    const isSame = server !== undefined && server.startedAtMs <= (leadership?.atMs ?? 0) && lockHolder === server.name;
    return isSame ? server : undefined;
  }

  /** When the present leadership began; 0 for a server that is alone. */
  get leadsSinceMs(): number {
    return this.#database?.leadership?.atMs ?? 0;
  }

  /** There is a leader, and it answers. */
  get isUp(): boolean {
    return this.leader?.isUp === true;
  }

  get isPaused(): boolean {
    return this.leader?.isPaused === true;
  }

  get isStoreStalled(): boolean {
    return this.#storeStall !== undefined || this.leader?.databaseLine.isCut === true;
  }

  /** Starts those that are down. */
  start(): void {
    this.servers.forEach((server) => server.start());
  }

  kill(): void {
    this.servers.forEach((server) => server.kill());
  }

  /** Writes wait for `ms`. */
  stallStore(ms: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.stalledFromMs = this.#storeStall === undefined ? nowMs : this.stalledFromMs;
    this.stalledUntilMs = Math.max(nowMs + ms, this.#storeStall === undefined ? 0 : this.stalledUntilMs); // what waits for one already waits for all of it
    const stall: Promise<unknown> = this.#clock.sleep(this.stalledUntilMs - nowMs, new AbortController().signal).then(() => {
      this.#storeStall = this.#storeStall === stall ? undefined : this.#storeStall;
    });
    this.#storeStall = stall;
  }
}
