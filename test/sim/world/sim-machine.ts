/**
 * A machine: its disk, its container engine, and the processes on it: the real agent, and the real fence guard.
 *
 * Owns     what outlives the processes (disk, engine) and, while they run, their lives.
 */
import { readFenceFile } from '../../../src/agent/fence/fence-file.ts';
import { runFenceGuard } from '../../../src/agent/fence/guard.ts';
import type { Engine } from '../../../src/agent/docker/engine.ts';
import { type AgentConfig, agentSettings } from '../../../src/agent/config.ts';
import { type RunningAgent, startAgent } from '../../../src/agent/main.ts';
import type { BootClock } from '../../../src/base/boot-clock.ts';
import { loadConfig } from '../../../src/base/config.ts';
import type { Logger } from '../../../src/base/log.ts';
import { StartError } from '../../../src/base/program.ts';
import { ModelEngine } from '../../support/engines/model-engine.ts';
import { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import { SimDisk } from './sim-disk.ts';
import { createSimEngine, type EngineFaults, GOOD_ENGINE } from './sim-engine.ts';
import { connectLine, GOOD_LINE, type Line, type NetworkOptions } from './sim-network.ts';

const GIB = 2 ** 30;
const LONGEST_UNCHECKED_MS = 20_000;
const RESTART_MS = 5000; // of a service manager

export interface MachineOptions {
  readonly name: string;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: NetworkOptions;
  readonly log: Logger;
  readonly heartbeatInterval: string;
  /** one, or several apart by commas */
  readonly serverUrl: string;
  /** a part of this code's own has failed, which it never should */
  readonly onBug: (where: string, error: unknown) => void;
}

export class SimMachine {
  readonly name: string;
  readonly model = new ModelEngine();
  readonly engineFaults: EngineFaults = { ...GOOD_ENGINE };
  readonly disk = new SimDisk();
  readonly line: Line;
  readonly #options: MachineOptions;
  readonly #config: AgentConfig;
  readonly #engine: Engine;
  /** containers that someone stopped or removed by hand */
  readonly handTouched = new Set<string>();
  /** its wall clock ahead of the world's, in milliseconds */
  aheadMs = 0;
  #agent: { readonly life: Life; readonly started: Promise<RunningAgent | undefined> } | undefined;
  /** the agent's, as it runs or ran last */
  process: Life | undefined;
  #guard: Life | undefined;
  #boots = 1;
  #bootedAtMs = 0;
  #starts = 0;
  #isOff = false;

  constructor(options: MachineOptions) {
    const { name, clock, random } = options;
    this.name = name;
    this.#options = options;
    this.line = { ...GOOD_LINE, name, random: random.fork('line') };
    this.#engine = createSimEngine({
      model: this.model,
      faults: this.engineFaults,
      disk: this.disk,
      clock,
      random: random.fork('engine'),
      crashAgent: () => this.#crashAgent(),
      onStart: (id) => void this.#becomeHealthy(id),
    });
    this.#config = loadConfig(agentSettings({ hostname: name, env: {}, isRoot: true }), {
      argv: [],
      env: {
        NODE_NAME: name,
        SERVER_URL: options.serverUrl,
        HEARTBEAT_INTERVAL: options.heartbeatInterval,
        THROUGHPUT_TEST: 'off',
      },
    });
  }

  get hasAgent(): boolean {
    return this.#agent !== undefined;
  }

  /** Ids of the containers of a Project that run here. */
  running(project: string): readonly string[] {
    const containers = [...this.model.containers.values()];
    return containers
      .filter(({ spec, state }) => state.isRunning && spec.labels['caravanserai.io/project'] === project)
      .map(({ id }) => id);
  }

  /** Can be pulled. Its containers' health checks pass some time after their start. */
  addImage(reference: string): void {
    this.model.registry.add(reference);
    this.model.health.set(reference, { status: 'starting', failingStreak: 0, log: [] });
  }

  async #becomeHealthy(id: string): Promise<void> {
    const { clock, random } = this.#options;
    const startedAt = this.model.containers.get(id)?.state.startedAt;
    if (this.model.containers.get(id)?.state.health === undefined) {
      return;
    }
    await clock.sleep(500 + random.next() ** 2 * LONGEST_UNCHECKED_MS, new AbortController().signal);
    const container = this.model.containers.get(id);
    if (container?.state.isRunning === true && container.state.startedAt === startedAt) {
      this.model.setState(container.name, { health: { status: 'healthy', failingStreak: 0, log: [] } });
    }
  }

  startAgent(): void {
    if (this.#agent !== undefined || this.#isOff) {
      return;
    }
    const { clock, network, random, log, onBug } = this.#options;
    const life = new Life();
    this.process = life;
    const starting = startAgent({
      config: this.#config,
      clock: life.clock(clock, { aheadMs: () => this.aheadMs }),
      random: random.fork(`agent ${(this.#starts += 1)}`),
      log: log.child({ machine: this.name }),
      engine: life.guardAll(this.#engine),
      fetch: connectLine(network, this.line, life),
      disk: life.guardAll(this.disk.openPort(() => !life.isOver)),
      listen: async () => await Promise.resolve({ port: 9090, url: 'http://127.0.0.1:9090', close: async () => await Promise.resolve() }),
      hostProbe: life.guardAll({ measure: async () => await Promise.resolve(this.#measure()), info: () => ({ hostname: this.name }) }),
      findAddress: async () => await Promise.resolve('192.0.2.1'),
      fetchTailscaleStatus: async () => await Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' })),
      readRoutes: async () => await Promise.resolve([]),
      bootClock: this.#bootClock(),
      fenceGuard: { ensure: async () => await life.act(async () => await Promise.resolve(this.#ensureGuard())) },
    });
    const started = starting.catch((error: unknown) => {
      if (error instanceof StartError) {
        this.#startAgain(life);
      } else {
        onBug(`start of the agent of ${this.name}`, error);
      }
      return undefined;
    });
    this.#agent = { life, started };
    void started.then(async (agent) => {
      if (agent !== undefined) {
        const failure = await life.guard(agent.failed);
        if (failure instanceof StartError) {
          this.#startAgain(life); // it said what a person can mend, such as a full disk, and its service manager goes on trying
        } else {
          onBug(`agent of ${this.name}`, failure);
        }
      }
    });
  }

  #crashAgent(): void {
    this.killAgent();
    void this.#options.clock.sleep(RESTART_MS, new AbortController().signal).then(() => this.startAgent());
  }

  #startAgain(life: Life): void {
    this.#options.clock.sleep(RESTART_MS, life.signal).then(
      () => {
        this.killAgent();
        this.startAgent();
      },
      () => undefined, // it was killed before
    );
  }

  /** kill -9: containers and guard go on. */
  killAgent(): void {
    this.#agent?.life.end();
    this.#agent = undefined;
  }

  /** All that is ours on the machine dies at once, as when memory runs out; its service manager starts the agent again. */
  killAll(): void {
    this.#guard?.end();
    this.#guard = undefined;
    this.#crashAgent();
  }

  pauseAgent(): void {
    this.#agent?.life.pause();
  }

  resumeAgent(): void {
    this.#agent?.life.resume();
  }

  /** Power off: nothing runs any more. What is on its disk stays. */
  powerOff(): void {
    this.#isOff = true;
    this.killAgent();
    this.#guard?.end();
    this.#guard = undefined;
    for (const { name, state } of this.model.containers.values()) {
      if (state.isRunning) {
        this.model.exit(name, 137);
      }
    }
  }

  powerOn(): void {
    if (!this.#isOff) {
      return;
    }
    this.#isOff = false;
    this.#boots += 1;
    this.#bootedAtMs = this.#options.clock.monotonicMs();
    this.startAgent();
  }

  #bootClock(): BootClock {
    const bootedAtMs = this.#bootedAtMs;
    return { bootMs: () => 1000 + this.#options.clock.monotonicMs() - bootedAtMs, bootId: `${this.name}-${this.#boots}` };
  }

  #ensureGuard(): void {
    if (this.#guard !== undefined) {
      return;
    }
    const life = new Life();
    this.#guard = life;
    const disk = this.disk.openPort(() => !life.isOver);
    const guard = runFenceGuard(
      {
        read: () => readFenceFile(disk, '/var/lib/caravanserai/fence.json'),
        openEngine: () => life.guardAll(this.#engine),
        killProcesses: (ids) => this.#killProcesses(ids),
        isAgentAlive: () => this.hasAgent,
        bootClock: this.#bootClock(),
        clock: life.clock(this.#options.clock, { aheadMs: () => this.aheadMs }),
        log: this.#options.log.child({ machine: this.name, process: 'guard' }),
      },
      life.signal,
    );
    void guard.then(
      () => (this.#guard === life ? (this.#guard = undefined) : undefined),
      (error: unknown) => this.#options.onBug(`guard of ${this.name}`, error),
    );
  }

  #killProcesses(ids: ReadonlySet<string>): number {
    const doomed = [...this.model.containers.values()].filter(({ id, state }) => ids.has(id) && state.isRunning);
    doomed.forEach(({ name }) => this.model.exit(name, 137));
    return doomed.length;
  }

  #measure() {
    const freeBytes = this.disk.isFull ? 0 : 80 * GIB;
    const disk = { path: '/', totalBytes: 100 * GIB, freeBytes, inodes: 0, freeInodes: 0 };
    return { cpuMillis: 4000, memoryBytes: 8 * GIB, memoryAvailableBytes: 6 * GIB, disk };
  }
}
