/**
 * The control plane's loops over one store, in virtual time: mirrors, scheduler and project controller, and the project service.
 * Nodes are what the test says they are; agents are the test's calls of `reportStatus`.
 */
import { API_VERSION } from '../../../src/api/meta.ts';
import type { NodeObject } from '../../../src/api/node.ts';
import type { ProjectManifest, ProjectObject, ProjectPhase, ProjectSpec } from '../../../src/api/project.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { Stopper } from '../../../src/base/stopper.ts';
import { FenceLedger } from '../../../src/server/nodes/fence-ledger.ts';
import { longestHoldMs } from '../../../src/server/projects/fence-terms.ts';
import { createProjectController } from '../../../src/server/projects/project-controller.ts';
import { retryOnConflict } from '../../../src/server/objects/write-object.ts';
import { type MoveService, createMoveService } from '../../../src/server/projects/move-service.ts';
import { type ProjectService, createProjectService } from '../../../src/server/projects/project-service.ts';
import { createScheduler } from '../../../src/server/scheduler/scheduler.ts';
import { createMemoryStore } from '../../../src/store/memory-store.ts';
import { type Mirror, createMirror } from '../../../src/store/mirror.ts';
import type { Store, Write } from '../../../src/store/store.ts';
import { type NodeOptions, type ProjectOptions, nodeOf, projectOf } from '../objects/resources.ts';
import { silentLog } from '../stores/store-backends.ts';
import { VirtualClock } from '../time/virtual-clock.ts';
import { wrapped } from '../stores/wrapped-store.ts';

export const NODE_TIMEOUT_MS = 90_000;
export const TERMINATION_TIMEOUT_MS = 600_000;

export interface ControlLoops extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly store: Store;
  readonly service: ProjectService;
  readonly moves: MoveService;
  readonly projects: Mirror<ProjectObject>;
  /** what nodes were granted; the test's to fill */
  readonly fences: FenceLedger;
  /** Creates or changes a node. */
  setNode(name: string, options?: NodeOptions): Promise<void>;
  deleteNode(name: string): Promise<void>;
  project(name: string): Promise<ProjectObject | undefined>;
  /** Lets the loops work until the Project is in `phase`; virtual time stands still. */
  until(name: string, phase: ProjectPhase | 'gone'): Promise<ProjectObject>;
  /** Lets the loops work until `isReached`; virtual time stands still. */
  settleUntil(isReached: () => boolean | Promise<boolean>): Promise<void>;
}

export interface LoopOptions {
  readonly clock?: VirtualClock;
  /** default: a memory store */
  readonly store?: Store;
  /** as ProjectControllerDeps; default: none */
  readonly isOutdated?: (node: NodeObject) => boolean;
}

/** Starts all of it; dispose of it to stop. The store stays open. */
export function startControlLoops(options: LoopOptions = {}): ControlLoops {
  const { clock = new VirtualClock(), isOutdated = () => false } = options;
  const { store = createMemoryStore({ clock }) } = options;
  const log = silentLog;
  const crashes: unknown[] = [];
  const stopper = new Stopper((name, error) => crashes.push(new Error(`Loop ${name} crashed`, { cause: error })));
  const nodes = createMirror<NodeObject>({ store, kind: 'Node', clock, log });
  const projects = createMirror<ProjectObject>({ store, kind: 'Project', clock, log });
  const timeouts = { nodeHeartbeatTimeoutMs: NODE_TIMEOUT_MS, terminationTimeoutMs: TERMINATION_TIMEOUT_MS };
  const fences = new FenceLedger({
    startedAtMs: clock.monotonicMs(),
    timeoutMs: NODE_TIMEOUT_MS,
    earlierTimeoutMs: 0,
    longestAfterMs: (node) => longestHoldMs(projects.items().values(), node),
  });
  const loops = {
    'mirror-nodes': nodes,
    'mirror-projects': projects,
    scheduler: createScheduler({ store, nodes, projects, clock, log }),
    'project-controller': createProjectController({ store, nodes, projects, fences, isOutdated, clock, log, ...timeouts }),
  };
  for (const [name, loop] of Object.entries(loops)) {
    stopper.spawn(name, (signal) => loop.run(signal));
  }
  const find = (name: string): Promise<ProjectObject | undefined> => store.get<ProjectObject>('Project', name);
  return {
    clock,
    store,
    projects,
    fences,
    service: createProjectService({ store, clock, random: systemRandom, log }),
    moves: createMoveService({ store, clock, log, cordon: (name) => retryOnConflict(() => cordon(store, name)) }),
    setNode: (name, nodeOptions) => setNode(store, name, nodeOptions),
    deleteNode: async (name) => void (await store.commit([{ op: 'delete', kind: 'Node', name }])),
    project: find,
    settleUntil: (isReached) => settleUntil(clock, isReached),
    until: async (name, phase) => {
      let last: ProjectObject | undefined;
      const look = async (): Promise<boolean> => {
        const now = await find(name);
        const isReached = phase === 'gone' ? now === undefined : now?.status.phase === phase;
        last = now ?? last;
        return isReached;
      };
      await settleUntil(clock, look).catch((error: unknown) => {
        throw new Error(`Cannot see project ${name} ${phase}: last seen ${JSON.stringify(last?.status)}`, { cause: error });
      });
      return last ?? projectOf(name);
    },
    [Symbol.asyncDispose]: async () => {
      await stopper.stop();
      if (crashes.length > 0) {
        throw new AggregateError(crashes, 'Loops crashed');
      }
    },
  };
}

/** A memory store in which the test steps in before each commit: between a loop's decision and its write. */
export function intercepted(clock: VirtualClock, before: (writes: readonly Write[], store: Store) => Promise<void>): Store {
  const store = createMemoryStore({ clock });
  return {
    ...wrapped(store),
    commit: async (writes) => {
      await before(writes, store);
      return store.commit(writes);
    },
  };
}

/** A manifest of a Project of one service. */
export function manifestOf(name: string, options: ProjectOptions = {}): ProjectManifest {
  const spec: ProjectSpec = projectOf(name, options).spec;
  return { apiVersion: API_VERSION, kind: 'Project', metadata: { name }, spec };
}

async function setNode(store: Store, name: string, options: NodeOptions = {}): Promise<void> {
  const node = nodeOf(name, options);
  const exists = (await store.get('Node', name)) !== undefined;
  await store.commit([{ op: exists ? 'update' : 'create', object: node }]);
}

/** As the node service does it, in one commit of spec and state. */
async function cordon(store: Store, name: string): Promise<void> {
  const node = await store.get<NodeObject>('Node', name);
  if (node !== undefined && !node.spec.unschedulable) {
    const state = node.status.state === 'Ready' ? 'Draining' : node.status.state;
    const object = { ...node, spec: { ...node.spec, unschedulable: true }, status: { ...node.status, state } };
    await store.commit([{ op: 'update', object, expectedVersion: node.metadata.resourceVersion }]);
  }
}

/** Turns of settling before giving up: each lets every loop that has work do some. */
const MAX_SETTLES = 500;

async function settleUntil(clock: VirtualClock, isReached: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < MAX_SETTLES; turn += 1) {
    if (await isReached()) {
      return;
    }
    await clock.settle();
  }
  throw new Error('Cannot go on as the state was not reached though nothing was left to do');
}
