/** Runs a plan in a world of its own and checks every promise after every step. */
import type { NodeObject } from '../../src/api/node.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import { Chronicle } from './checker/chronicle.ts';
import { checkContainers } from './checker/containers.ts';
import { HealthChecker } from './checker/health.ts';
import { checkLeader } from './checker/leader.ts';
import { checkDocuments } from './checker/documents.ts';
import { checkPlacement } from './checker/placement.ts';
import { PlaceChecker } from './checker/places.ts';
import { checkReports } from './checker/reports.ts';
import { ReturnChecker } from './checker/returns.ts';
import { findUnsettled } from './checker/settled.ts';
import { findUntruth, RunningChecker } from './checker/status.ts';
import { checkWatches, WatchChecker } from './checker/watcher.ts';
import { strike } from './faults.ts';
import { isGoing, Ledger } from './ledger.ts';
import type { Plan } from './plan.ts';
import { doUserStep } from './workload.ts';
import { createWorld, type World } from './world/world.ts';

const TICK_MS = 1000;
const CALM_MS = 40_000; // without faults; then what is said must be so: a request whose answer was lost on a cut line hangs for 30 s
const SETTLE_LIMIT_MS = 20 * 60_000;
const START_LIMIT_MS = 60_000; // of a server, or until one of several leads
const PATIENCE_MS = 12_000; // of people, for an answer
const UNCORDON_TRIES = 5; // while nobody leads people are told to try again
const STAY_MS = 60_000; // what has settled stays as it is

export interface Outcome {
  readonly seed: string;
  /** the first promise that was broken; undefined: none */
  readonly violation: string | undefined;
  readonly virtualMs: number;
  /** of everything that happened */
  readonly traceHash: string;
  readonly traceTail: readonly string[];
}

export async function runPlan(plan: Plan, options: { readonly onLog?: (line: string) => void } = {}): Promise<Outcome> {
  const world = await createWorld({ seed: `world ${plan.seed}`, store: plan.store, servers: plan.servers ?? 1, ...options });
  const run = new Run(world, plan);
  try {
    await run.live();
  } catch (error) {
    run.violation ??= `promise 10: ${error instanceof Error ? error.message : String(error)}`; // such as work that never waits
  } finally {
    run.end();
  }
  return {
    seed: plan.seed,
    violation: run.violation,
    virtualMs: world.clock.monotonicMs(),
    traceHash: world.trace.digest(),
    traceTail: world.trace.tail(4000),
  };
}

interface Due {
  readonly atMs: number;
  readonly act: () => Promise<void> | void;
}

class Run {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #ledger = new Ledger();
  readonly #chronicle: Chronicle;
  readonly #watcher: WatchChecker;
  readonly #health: HealthChecker;
  readonly #running: RunningChecker;
  readonly #places: PlaceChecker;
  readonly #returns: ReturnChecker;
  #due: Due[] = [];
  /** faults at work */
  #striking = 0;
  #calmSinceMs = 0;
  violation: string | undefined;

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
    this.#chronicle = new Chronicle(world.clock);
    this.#watcher = new WatchChecker(world, this.#chronicle, this.#violate);
    this.#health = new HealthChecker(world, this.#chronicle, this.#violate);
    checkPlacement(this.#chronicle, this.#violate);
    checkLeader(world, this.#violate);
    checkWatches(world, this.#violate);
    checkDocuments(this.#chronicle, this.#violate);
    checkReports(world, this.#chronicle, this.#violate);
    this.#places = new PlaceChecker(world, this.#chronicle, this.#violate);
    this.#returns = new ReturnChecker(world, this.#chronicle, this.#violate);
    this.#running = new RunningChecker(world, this.#chronicle, this.#violate);
    world.answerListeners.add(({ from, method, path, status }) => {
      if (status >= 500 && status !== 503) {
        this.#violate(`promise 10: ${from} got ${status} for ${method} ${path}`);
      }
    });
  }

  readonly #violate = (text: string): void => {
    if (this.violation === undefined) {
      this.violation = text;
      this.#world.trace.add(`VIOLATION ${text}`);
    }
  };

  async live(): Promise<void> {
    const { server, clock, random } = this.#world;
    await this.#chronicle.follow(this.#world.store, ['Project', 'Node']);
    server.start();
    await clock.settle();
    for (const name of this.#plan.machines) {
      const machine = this.#world.addMachine(name);
      const soonMs = random.between(0, 5000);
      this.#due.push({ atMs: this.#plan.joins?.[name] ?? soonMs, act: () => machine.startAgent() });
    }
    checkContainers(this.#world, this.#chronicle, { violate: this.#violate, isCalm: () => this.#isCalm });
    for (const machine of this.#world.machines.values()) {
      machine.model.onEvent = () => this.#running.look(machine);
    }
    void this.#watcher.run();
    this.#schedule();
    await this.#work();
    if (this.violation === undefined) {
      await this.#heal();
      await this.#settle();
    }
    for (const bug of this.#world.bugs) {
      this.#violate(`a program failed by itself: ${bug}`);
    }
    await clock.settle();
  }

  end(): void {
    this.#watcher.end();
    this.#chronicle.end();
    this.#world.end();
  }

  #schedule(): void {
    const world = this.#world;
    for (const step of this.#plan.steps) {
      if (step.who === 'people') {
        this.#due.push({ atMs: step.atMs, act: () => void doUserStep(world, this.#ledger, step) });
      } else {
        this.#due.push({ atMs: step.atMs, act: async () => await this.#strike(step) });
      }
    }
    this.#due.sort((a, b) => a.atMs - b.atMs);
  }

  async #strike(step: Parameters<typeof strike>[1]): Promise<void> {
    this.#striking += 1;
    const mend = await strike(this.#world, step);
    const act = async (): Promise<void> => {
      this.#striking -= 1;
      this.#calmSinceMs = this.#world.clock.monotonicMs();
      await mend();
    };
    this.#due.push({ atMs: step.atMs + step.forMs, act });
    this.#due.sort((a, b) => a.atMs - b.atMs);
  }

  async #work(): Promise<void> {
    const { clock } = this.#world;
    for (let next = this.#due.shift(); next !== undefined && this.violation === undefined; next = this.#due.shift()) {
      await this.#advanceTo(next.atMs);
      await next.act();
      await clock.settle();
    }
  }

  /** Every fault has mended itself; what people did with machines is undone, so that everything asked for can be had. */
  async #heal(): Promise<void> {
    const { server, machines } = this.#world;
    server.servers.forEach((one) => one.resume());
    server.start();
    for (let waitedMs = 0; !server.isUp && waitedMs < START_LIMIT_MS; waitedMs += TICK_MS) {
      await this.#advance(TICK_MS);
    }
    await this.#advance(PATIENCE_MS); // what people asked for last is done or not by then
    for (const machine of machines.values()) {
      machine.powerOn();
      if (this.#ledger.deleted.has(machine.name)) {
        machine.killAgent(); // it registers again at its next start
      }
      machine.startAgent();
    }
    await this.#advance(2 * TICK_MS);
    for (let tries = 0; tries < UNCORDON_TRIES; tries += 1) {
      const cordoned = tries === 0 ? [...machines.keys()] : await this.#cordoned();
      for (const machine of cordoned) {
        void doUserStep(this.#world, this.#ledger, { who: 'people', atMs: 0, does: 'uncordon', machine });
      }
      await this.#advance(cordoned.length === 0 ? 0 : PATIENCE_MS);
    }
  }

  async #cordoned(): Promise<readonly string[]> {
    return (await this.#state()).nodes.filter(({ spec }) => spec.unschedulable).map(({ metadata }) => metadata.name);
  }

  async #settle(): Promise<void> {
    const { clock } = this.#world;
    const endMs = clock.monotonicMs() + SETTLE_LIMIT_MS;
    let unsettled = await this.#unsettled();
    for (let isMoving = true; isMoving;) {
      while (unsettled.length > 0 && clock.monotonicMs() < endMs && this.violation === undefined) {
        await this.#advance(5000);
        unsettled = await this.#unsettled();
      }
      await this.#advance(STAY_MS);
      unsettled = await this.#unsettled();
      const isLeaving = (await this.#state()).projects.some(isGoing); // its time has come meanwhile
      const isFence = unsettled.length > 0 && unsettled.every((text) => text.startsWith('Project fenced')); // it went on until its time was up
      isMoving = clock.monotonicMs() < endMs && this.violation === undefined && (isLeaving || isFence);
    }
    if (unsettled.length > 0) {
      this.#violate(`promise 5: ${SETTLE_LIMIT_MS / 60_000} min after the last fault ${unsettled.join('; ')}`);
    }
  }

  async #unsettled(): Promise<readonly string[]> {
    return findUnsettled(this.#world, this.#ledger, await this.#state());
  }

  async #advance(ms: number): Promise<void> {
    await this.#advanceTo(this.#world.clock.monotonicMs() + ms);
  }

  async #advanceTo(atMs: number): Promise<void> {
    const { clock } = this.#world;
    while (clock.monotonicMs() < atMs && this.violation === undefined) {
      await clock.advance(Math.min(TICK_MS, atMs - clock.monotonicMs()));
      await this.#check();
    }
  }

  get #isCalm(): boolean {
    const { clock, server } = this.#world;
    return this.#striking === 0 && clock.monotonicMs() - this.#calmSinceMs > CALM_MS && server.isUp;
  }

  async #check(): Promise<void> {
    const { clock, bugs } = this.#world;
    const { projects, nodes } = await this.#state();
    this.#health.tick(nodes);
    this.#places.checkMoves(this.#ledger.moves, projects);
    this.#places.tick(projects, this.#health.steadySinceMs);
    this.#ledger.findLost(projects, nodes).forEach((text) => this.#violate(`promise 4: ${text}`));
    this.#returns.tick(nodes, this.#ledger);
    bugs.forEach((text) => this.#violate(`a program failed by itself: ${text}`));
    for (const project of this.#isCalm ? projects : []) {
      const changedMs = clock.wallMs() - Date.parse(project.metadata.updatedAt);
      const untruth = changedMs > CALM_MS ? findUntruth(this.#world, project) : undefined;
      if (untruth !== undefined) {
        this.#violate(`promise 8: ${untruth}`);
      }
    }
  }

  async #state(): Promise<{ readonly projects: readonly ProjectObject[]; readonly nodes: readonly NodeObject[] }> {
    const { store } = this.#world;
    const [{ items: projects }, { items: nodes }] = await Promise.all([
      store.list<ProjectObject>('Project'),
      store.list<NodeObject>('Node'),
    ]);
    return { projects, nodes };
  }
}
