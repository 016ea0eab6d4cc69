/**
 * A control plane and two machines in virtual time, for promise 1: each machine has an engine (a model), an agent (self-fence and
 * reconciler) and its fence guard; the network between can be cut, agents killed, nodes deleted, specs changed, the server restarted.
 *
 * Owns     all of it; after every step `check` counts on how many engines the Project runs.
 * Never    gives agents anything but what has passed the network: heartbeats, lists, reads and reports take up to MAX_TRAVEL_MS each way.
 */
import { join } from 'node:path';
import { runFenceGuard } from '../../../src/agent/fence/guard.ts';
import { readFenceFile } from '../../../src/agent/fence/fence-file.ts';
import { createReconciler } from '../../../src/agent/reconcile/reconciler.ts';
import type { Reconciler } from '../../../src/agent/reconcile/assignment.ts';
import { SelfFence } from '../../../src/agent/session/self-fence.ts';
import { ApiError, hasReason } from '../../../src/api/errors.ts';
import { isLeaving } from '../../../src/api/project/leaving.ts';
import type { ProjectObject, StatusReport } from '../../../src/api/project.ts';
import { systemDisk } from '../../../src/base/disk.ts';
import type { Random } from '../../../src/base/random.ts';
import { type ControlLoops, manifestOf, NODE_TIMEOUT_MS, startControlLoops } from './control-loops.ts';
import { ModelEngine } from '../engines/model-engine.ts';
import type { ProjectOptions } from '../objects/resources.ts';
import { makeScratch } from '../scratch.ts';
import { NO_SECRETS } from '../objects/secrets.ts';
import { silentLog } from '../stores/store-backends.ts';
import type { VirtualClock } from '../time/virtual-clock.ts';

const BEAT_MS = 20_000;
const POLL_MS = 3000;
const MAX_TRAVEL_MS = 2000;
const CLUSTER = 'c1';

export const SHOP = 'shop';

/** Fenced, and taking up to all of its grace to stop. */
export function fencedShop(after: string, generation = 1): ProjectOptions {
  const web = { name: 'web', image: `web:${generation}`, stopGracePeriod: '10s' };
  return { spec: { services: [web], onNodeLost: { action: 'Reschedule', after, fence: true } } };
}

export class FenceWorld implements AsyncDisposable {
  readonly random: Random;
  readonly machines: readonly Machine[];
  readonly clock: VirtualClock;
  readonly #scratch = makeScratch();
  control: ControlLoops;
  /** node -> when it last beat, as the server has it */
  readonly beats = new Map<string, number>();
  #silent = new Set<string>();

  constructor(random: Random) {
    this.random = random;
    this.control = startControlLoops();
    this.clock = this.control.clock;
    this.machines = ['n1', 'n2'].map((name, index) => {
      const bootOffsetMs = 1e6 * (index + 1);
      const rate = 1 + (random.next() - 0.5) / 100; // by up to 0.5 %
      return new Machine(this, { name, path: join(this.#scratch.path, `${name}.json`), bootOffsetMs, rate });
    });
  }

  get(name: string): Machine {
    const machine = this.machines.find((other) => other.name === name);
    if (machine === undefined) {
      throw new Error(`Cannot find machine ${name}`);
    }
    return machine;
  }

  /** Moves time on, and checks at every tenth of a second. */
  async advance(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 100) {
      await this.clock.advance(100);
      await this.#judgeNodes();
      this.check();
    }
  }

  /** @throws when the Project runs on two engines */
  check(): void {
    const running = this.machines.filter(({ isRunning }) => isRunning).map(({ name }) => name);
    if (running.length > 1) {
      throw new Error(`${SHOP} runs on ${running.join(' and ')} at ${this.clock.monotonicMs()} ms`);
    }
  }

  /** As node-lifecycle.ts: a node is silent a timeout after its last beat. */
  async #judgeNodes(): Promise<void> {
    for (const [name, atMs] of this.beats) {
      const isSilent = this.clock.monotonicMs() - atMs >= NODE_TIMEOUT_MS;
      if (isSilent !== this.#silent.has(name) && (await this.control.store.get('Node', name)) !== undefined) {
        await this.control.setNode(name, isSilent ? { state: 'NotReady', isSilent } : {});
        this.#silent[isSilent ? 'add' : 'delete'](name);
      }
    }
  }

  /** A heartbeat comes in. @returns what is granted */
  async takeBeat(name: string, machine: string): Promise<number | undefined> {
    if ((await this.control.store.get('Node', name)) === undefined) {
      return undefined; // 410
    }
    this.beats.set(name, this.clock.monotonicMs());
    return this.control.fences.grant(name, machine, this.clock.monotonicMs()) ? NODE_TIMEOUT_MS : undefined;
  }

  /** Another process on the same store: what it granted before is forgotten, and silence counts anew. */
  async restartServer(): Promise<void> {
    const { store } = this.control;
    await this.control[Symbol.asyncDispose]();
    this.control = startControlLoops({ clock: this.clock, store });
    for (const name of this.beats.keys()) {
      this.beats.set(name, this.#silent.has(name) ? -Infinity : this.clock.monotonicMs());
    }
  }

  async deleteNode(name: string): Promise<void> {
    await this.control.deleteNode(name).catch(() => undefined);
  }

  /** As a user who creates it by hand: nobody has beaten yet. */
  async createNode(name: string): Promise<void> {
    if ((await this.control.store.get('Node', name)) === undefined) {
      await this.control.setNode(name, { state: 'NotReady', isSilent: true });
      this.beats.set(name, -Infinity);
      this.#silent.add(name);
    }
  }

  /** Changes the spec, as an apply does. */
  async apply(options: ProjectOptions): Promise<void> {
    await this.control.service.apply(manifestOf(SHOP, options));
  }

  async shop(): Promise<ProjectObject | undefined> {
    return await this.control.project(SHOP);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.machines) {
      await machine.stop();
    }
    await this.control[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}

interface MachineOptions {
  readonly name: string;
  readonly path: string;
  readonly bootOffsetMs: number;
  /** how fast its clock runs */
  readonly rate: number;
}

export class Machine {
  readonly name: string;
  readonly model = new ModelEngine();
  isCut = false;
  readonly #world: FenceWorld;
  readonly #options: MachineOptions;
  #agent: { readonly ended: AbortController; readonly running: Promise<unknown> } | undefined;
  #guard: { readonly running: Promise<void>; readonly ended: AbortController } | undefined;

  constructor(world: FenceWorld, options: MachineOptions) {
    this.name = options.name;
    this.#world = world;
    this.#options = options;
    for (let generation = 1; generation < 50; generation += 1) {
      this.model.addImage(`web:${generation}`);
    }
  }

  get isRunning(): boolean {
    return [...this.model.containers.values()].some(({ state }) => state.isRunning);
  }

  get hasAgent(): boolean {
    return this.#agent !== undefined;
  }

  readonly #bootMs = (): number => this.#options.bootOffsetMs + this.#world.clock.monotonicMs() * this.#options.rate;

  /** Starts the agent; the file of assignments is left out: it knows nothing before the first list. */
  startAgent(): void {
    const { clock } = this.#world;
    const ended = new AbortController();
    const { signal } = ended;
    const reports = new Map<string, StatusReport>();
    const fence = new SelfFence({
      path: this.#options.path,
      disk: systemDisk,
      engineHost: 'unix:///engine',
      nodeName: this.name,
      clusterId: () => CLUSTER,
      find: async (project, inner) => await this.#call(async () => await this.#world.control.project(project), inner),
      guard: { ensure: async () => await Promise.resolve(this.#ensureGuard()) },
      bootClock: { bootMs: this.#bootMs, bootId: 'boot' },
      clock,
      log: silentLog,
    });
    const reconciler = createReconciler({
      engine: {
        ...this.model.engine,
        stopContainer: async (id, graceMs, inner) => {
          await clock.sleep(this.#world.random.next() * graceMs, inner);
          await this.model.engine.stopContainer(id, graceMs, inner);
        },
      },
      clusterId: CLUSTER,
      clock,
      random: this.#world.random,
      log: silentLog,
      report: ({ uid, report }) => reports.set(uid, report),
      readRoutes: async () => await Promise.resolve([]),
      secrets: NO_SECRETS,
      fence,
    });
    const loops = [
      reconciler.run(signal),
      fence.run(signal),
      this.#beatAlways(fence, signal),
      this.#followAlways({ fence, reconciler, reports }, signal),
    ];
    this.#agent = {
      ended,
      running: Promise.all(loops.map(async (loop) => await loop.catch((error: unknown) => ignoreAbort(error, signal)))),
    };
  }

  /** kill -9: the guard goes on. */
  async killAgent(): Promise<void> {
    this.#agent?.ended.abort(new DOMException('Killed', 'AbortError'));
    await this.#agent?.running;
    this.#agent = undefined;
  }

  async stop(): Promise<void> {
    await this.killAgent();
    this.#guard?.ended.abort();
    await this.#guard?.running;
  }

  async #beatAlways(fence: SelfFence, signal: AbortSignal): Promise<void> {
    for (;;) {
      const sentAtMs = this.#bootMs();
      const granted = await this.#call(async () => await this.#world.takeBeat(this.name, `machine of ${this.name}`), signal).catch(
        ignoreCut,
      );
      if (granted !== undefined) {
        fence.granted({ sentAtMs, timeoutMs: granted });
      }
      await this.#world.clock.sleep(BEAT_MS * (0.9 + 0.2 * this.#world.random.next()), signal);
    }
  }

  async #followAlways(
    { fence, reconciler, reports }: { fence: SelfFence; reconciler: Reconciler; reports: Map<string, StatusReport> },
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const list = await this.#call(async () => await this.#world.shop(), signal).catch(ignoreCut);
      if (list !== undefined) {
        const mine = list.status.nodeRef === this.name ? [list] : [];
        fence.assign(mine, 'server');
        reconciler.assign(
          mine.map((project) => ({ project })),
          'server',
        );
      }
      for (const [uid, report] of reports) {
        await this.#report(uid, report, { fence, reconciler, signal });
      }
      await this.#world.clock.sleep(POLL_MS, signal);
    }
  }

  async #report(
    uid: string,
    report: StatusReport,
    { fence, reconciler, signal }: { fence: SelfFence; reconciler: Reconciler; signal: AbortSignal },
  ): Promise<void> {
    try {
      await this.#call(async () => await this.#world.control.service.reportStatus(SHOP, report), signal);
    } catch (error) {
      if (hasReason(error, 'StaleAssignment')) {
        const shop = await this.#world.shop();
        if (shop === undefined || shop.status.nodeRef !== this.name || isLeaving(shop)) {
          reconciler.remove(SHOP, uid);
          fence.remove(uid);
        }
      } else {
        ignoreCut(error);
      }
    }
  }

  /** A request and its answer, each of which is lost where the line is cut when it would arrive. */
  async #call<Result>(act: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    const { clock, random } = this.#world;
    await clock.sleep(random.next() * MAX_TRAVEL_MS, signal);
    this.#failIfCut();
    const result = await act();
    await clock.sleep(random.next() * MAX_TRAVEL_MS, signal);
    this.#failIfCut();
    return result;
  }

  #failIfCut(): void {
    if (this.isCut) {
      throw new ApiError('Unavailable', 'Cannot reach the server as the line is cut');
    }
  }

  #ensureGuard(): void {
    if (this.#guard !== undefined) {
      return;
    }
    const { clock } = this.#world;
    const ended = new AbortController();
    const running = runFenceGuard(
      {
        read: () => readFenceFile(systemDisk, this.#options.path),
        openEngine: () => ({
          listContainers: async (options, signal) =>
            (await this.model.engine.listContainers(options, signal)).filter(({ state }) => state === 'running'),
          killContainer: async (id, signal) => await this.model.engine.stopContainer(id, 0, signal),
        }),
        killProcesses: () => 0,
        isAgentAlive: () => this.hasAgent,
        bootClock: { bootMs: this.#bootMs, bootId: 'boot' },
        clock,
        log: silentLog,
      },
      ended.signal,
    ).then(() => (this.#guard = undefined));
    this.#guard = { ended, running: running.then(() => undefined) };
  }
}

function ignoreAbort(error: unknown, signal: AbortSignal): void {
  if (!signal.aborted) {
    throw error;
  }
}

function ignoreCut(error: unknown): undefined {
  if (!(error instanceof ApiError)) {
    throw error;
  }
}
