/**
 * World: a whole fleet in one process on virtual time: the real server, the real agents, guards and reconcilers, over simulated machines
 * and a simulated network. Nothing of ours is replaced but the ports.
 *
 * Owns     all of it. Everything random comes from the seed, so that a seed gives the same world to the letter, everywhere.
 */
import { type Logger, pino } from 'pino';
import { createMemoryStore } from '../../../src/store/memory-store.ts';
import { createSqliteStore } from '../../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimClock } from './sim-clock.ts';
import { SimDatabase } from './sim-database.ts';
import { SimMachine } from './sim-machine.ts';
import type { NetworkOptions } from './sim-network.ts';
import { ControlPlane } from './control-plane.ts';
import { Trace } from './trace.ts';

export const HEARTBEAT_INTERVAL_MS = 10_000;
export const NODE_TIMEOUT_MS = 30_000;
export const IMAGES = 60;

export interface WorldOptions {
  readonly seed: string;
  readonly store: 'memory' | 'sqlite';
  /** more than one share a database, whatever `store` says */
  readonly servers: number;
  /** told of every line that the programs log; for people, never for decisions */
  readonly onLog?: (line: string) => void;
}

export interface World {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly store: Store;
  readonly server: ControlPlane;
  /** undefined: there is one server alone */
  readonly database: SimDatabase | undefined;
  /** by name, also those that have left */
  readonly machines: ReadonlyMap<string, SimMachine>;
  /** of our own code, which must never fail by itself */
  readonly bugs: string[];
  readonly network: NetworkOptions;
  /** told of each answer of the server */
  readonly answerListeners: Set<NetworkOptions['onAnswer']>;
  addMachine(name: string): SimMachine;
  /** Ends every process; the store stays readable. */
  end(): void;
}

const anyOf = AbortSignal.any.bind(AbortSignal);

/**
 * Node keeps each signal that combines others for as long as it has listeners and none of the others aborts, which those of a process
 * that was killed never do: without this each seed would leave some megabytes behind. @returns what lets them all go
 */
function trackSignals(): () => void {
  const ended = new AbortController();
  AbortSignal.any = (signals) => anyOf([...signals, ended.signal]);
  return () => {
    AbortSignal.any = anyOf;
    ended.abort(new DOMException('The world has ended', 'AbortError'));
  };
}

export async function createWorld({ seed, store: kind, servers, onLog }: WorldOptions): Promise<World> {
  const clock = new SimClock();
  const letGo = trackSignals();
  const random = new SeededRandom(seed);
  const trace = new Trace(clock);
  const log = createLog(clock, onLog);
  const database = servers > 1 ? new SimDatabase(clock) : undefined;
  const ownStore = async (): Promise<Store> =>
    kind === 'memory' ? createMemoryStore({ clock }) : await createSqliteStore({ path: ':memory:', clock, log });
  const store = database?.store ?? (await ownStore());
  const machines = new Map<string, SimMachine>();
  const bugs: string[] = [];
  const onBug = (where: string, error: unknown): void => {
    trace.add(`BUG ${where}`);
    bugs.push(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  const timeouts = { heartbeatTimeout: `${NODE_TIMEOUT_MS}ms` };
  const server = new ControlPlane({
    clock,
    random: random.fork('server'),
    storage: database === undefined ? { store } : { database },
    count: servers,
    network: () => network,
    log,
    onBug,
    ...timeouts,
  });
  const answerListeners = new Set<NetworkOptions['onAnswer']>();
  const network: NetworkOptions = {
    clock,
    trace,
    listener: (host) => server.listener(host),
    onAnswer: (answer) => answerListeners.forEach((listener) => listener(answer)),
  };
  return {
    clock,
    random,
    network,
    answerListeners,
    trace,
    store,
    server,
    database,
    machines,
    bugs,
    addMachine: (name) => {
      const machine = new SimMachine({
        name,
        clock,
        random: random.fork(`machine ${name}`),
        network,
        log,
        serverUrl: server.url,
        heartbeatInterval: `${HEARTBEAT_INTERVAL_MS}ms`,
        onBug,
      });
      for (let image = 1; image <= IMAGES; image += 1) {
        machine.addImage(imageOf(image));
        machine.addImage(jobOf(image));
        machine.model.exitCodes.set(jobOf(image), 0);
      }
      machines.set(name, machine);
      return machine;
    },
    end: () => {
      machines.forEach((machine) => machine.powerOff());
      server.kill();
      letGo();
    },
  };
}

export function imageOf(version: number): string {
  return `web:${version}`;
}

/** An image whose containers end at once, done. */
export function jobOf(version: number): string {
  return `job:${version}`;
}

function createLog(clock: SimClock, onLog: ((line: string) => void) | undefined): Logger {
  if (onLog === undefined) {
    return pino({ level: 'silent' });
  }
  return pino({ level: 'debug', base: null, timestamp: () => `,"time":${Math.round(clock.monotonicMs())}` }, { write: onLog });
}
