/** A machine's container engine as its processes reach it: the model, with what goes wrong with real ones. */
import { EngineError } from '../../../src/agent/docker/engine-error.ts';
import type { Engine } from '../../../src/agent/docker/engine.ts';
import { CHANGES, type ModelEngine } from '../../support/engines/model-engine.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimDisk } from './sim-disk.ts';

const LATE_MS = 20_000;
const HUNG_LOOK_MS = 500;
const CALL_TIMEOUT_MS = 60_000; // of the client for calls that a hung engine does not answer

export interface EngineFaults {
  /** refuses connections */
  isDown: boolean;
  /** takes calls and does not answer; what it was asked for may have been done */
  isHung: boolean;
  /** of changes: answers 500, though half of them were made */
  errorRate: number;
  /** its events go nowhere */
  losesEvents: boolean;
  maxDelayMs: number;
  /** the agent is killed amid the next creation of a network, which the engine ends later, beside the one that the next agent makes */
  isNetworkLate: boolean;
}

export const GOOD_ENGINE: EngineFaults = {
  isDown: false,
  isHung: false,
  errorRate: 0,
  losesEvents: false,
  maxDelayMs: 20,
  isNetworkLate: false,
};

export interface SimEngineOptions {
  readonly model: ModelEngine;
  readonly faults: EngineFaults;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** kills the agent, and starts it again soon */
  readonly crashAgent: () => void;
  /** told of each container that was started */
  readonly onStart: (id: string) => void;
}

const CHANGING: ReadonlySet<string> = new Set([...CHANGES, 'killContainer', 'removeImage']);
const NEEDS_SPACE: ReadonlySet<string> = new Set(['createContainer', 'pullImage', 'writeFiles']);

export function createSimEngine(options: SimEngineOptions): Engine {
  const { model, faults, clock, disk, random } = options;
  const engine: Engine = {
    ...model.engine,
    ping: async () => await Promise.resolve(),
    version: async () => await Promise.resolve(VERSION),
    info: async () => await Promise.resolve(INFO),
    listContainers: async (filter, signal) =>
      (await model.engine.listContainers(filter, signal)).filter(({ state }) => filter.all || state === 'running'),
    startContainer: async (id, signal) => {
      await model.engine.startContainer(id, signal);
      options.onStart(id);
    },
    restartContainer: async (id, graceMs, signal) => {
      await model.engine.restartContainer(id, graceMs, signal);
      options.onStart(id);
    },
    killContainer: async (id, signal) => await model.engine.stopContainer(id, 0, signal),
    stopContainer: async (id, graceMs, signal) => {
      await clock.sleep(random.next() * graceMs, signal); // it ends when it likes
      await model.engine.stopContainer(id, graceMs, signal);
    },
    events: async (filter, signal) => dropEvents(await model.engine.events(filter, signal), faults),
  };

  /** As a real engine does after a `kill -9` of who asked: its check of the name was before. */
  async function createLate(...[name, { labels }]: Parameters<Engine['createNetwork']>): Promise<never> {
    faults.isNetworkLate = false;
    options.crashAgent();
    await clock.sleep(1000 + random.next() * LATE_MS, new AbortController().signal);
    model.plantNetwork(name, `10.251.${random.between(0, 255)}.0/26`, labels);
    return await new Promise<never>(() => undefined);
  }

  async function call(name: string, signal: AbortSignal, act: () => Promise<unknown>): Promise<unknown> {
    signal.throwIfAborted();
    await clock.sleep(random.next() * faults.maxDelayMs, signal);
    if (faults.isDown) {
      throw new EngineError('EngineUnreachable', 'connect ECONNREFUSED');
    }
    const isChange = CHANGING.has(name);
    if (faults.isHung) {
      if (isChange && random.chance(0.5)) {
        await act().catch(() => undefined);
      }
      await untilAwake(signal); // then it does what it finds in its socket
    }
    if (NEEDS_SPACE.has(name)) {
      disk.refuseWhenFull();
    }
    if (isChange && random.chance(faults.errorRate)) {
      if (random.chance(0.5)) {
        await act();
      }
      throw new EngineError('EngineFault', 'server error 500');
    }
    return await act();
  }

  async function untilAwake(signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; faults.isHung; waitedMs += HUNG_LOOK_MS) {
      if (waitedMs >= CALL_TIMEOUT_MS) {
        throw new EngineError('Timeout', 'no answer');
      }
      await clock.sleep(HUNG_LOOK_MS, signal);
    }
  }

  return new Proxy(engine, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || name === 'close') {
        return value;
      }
      return async (...args: readonly unknown[]) => {
        if (name === 'createNetwork' && faults.isNetworkLate) {
          return await createLate(...(args as Parameters<Engine['createNetwork']>));
        }
        const signal = args.at(-1);
        const act = async (): Promise<unknown> => (await Reflect.apply(value, target, args)) as unknown;
        return await call(String(name), signal instanceof AbortSignal ? signal : new AbortController().signal, act);
      };
    },
  });
}

async function* dropEvents<Event>(events: AsyncIterable<Event>, faults: EngineFaults): AsyncGenerator<Event> {
  for await (const event of events) {
    if (faults.isDown) {
      return; // the stream ends with the engine
    }
    if (!faults.losesEvents && !faults.isHung) {
      yield event;
    }
  }
}

const VERSION = { version: '20.10.24', apiVersion: '1.41', minApiVersion: '1.12', os: 'linux', arch: 'amd64', kernelVersion: '6.1.0' };
const INFO = {
  id: 'SIM',
  name: 'sim',
  serverVersion: '20.10.24',
  operatingSystem: 'Simulated',
  osType: 'linux',
  architecture: 'x86_64',
  kernelVersion: '6.1.0',
  cpus: 4,
  memoryBytes: 8 * 2 ** 30,
  dataDir: '/var/lib/docker',
  containers: 0,
  containersRunning: 0,
};
