/**
 * Scheduler: gives each Pending Project a node, oldest first.
 *
 * Owns     the binding: status.nodeRef, status.assignment, the phase Scheduled and the condition Scheduled. Its view of the fleet is
 *          in memory and made anew from the mirrors at each start.
 * Never    moves what is bound. Never believes its own view: each binding is a compare-and-set on Project and node (binder.ts).
 * Callers  projects/start-projects.ts spawns `run`; the mirrors' changes wake it.
 * Source   Kubernetes' scheduler (assume, then bind); SwarmKit manager/scheduler (explain).
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { abortable } from '../../base/abortable.ts';
import type { Clock } from '../../base/clock.ts';
import { inTurns } from '../../base/in-turns.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import { createBinder } from './binder.ts';
import { FleetView } from './fleet-view.ts';
import { SchedulingRound } from './scheduling-round.ts';

export interface SchedulerDeps {
  readonly store: Store;
  readonly nodes: Mirror<NodeObject>;
  readonly projects: Mirror<ProjectObject>;
  readonly clock: Clock;
  readonly log: Logger;
  /** assignment numbers up to it may have been given out by a server whose state is lost; default 0 */
  readonly assignmentBase?: number;
}

export interface Scheduler {
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<void>;
}

/** How long to wait for the next pass though nothing changes, by how the last one ended, in ms. */
const WAIT_MS = {
  written: Infinity,
  conflict: 20, // what it conflicted with has been read anew; the pause keeps a mirror that lags from making a busy loop
  failed: 1_000, // the store does not answer
} as const;

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const log = deps.log.child({ component: 'scheduler' });
  return { run: (signal) => runScheduler({ ...deps, log }, signal) };
}

async function runScheduler(deps: SchedulerDeps, signal: AbortSignal): Promise<void> {
  const { nodes, projects, clock, log } = deps;
  await abortable(Promise.all([nodes.ready(), projects.ready()]), signal);
  const wakeup = new Wakeup();
  const view = new FleetView(deps);
  const binder = createBinder(deps);
  const unsubscribe = follow(deps, view, wakeup);
  try {
    await inTurns(nodes.items().keys(), (name) => view.noteNode(name), clock, signal);
    await inTurns(projects.items().keys(), (name) => view.noteProject(name), clock, signal);
    for (;;) {
      const outcome = await new SchedulingRound({ view, binder, clock, log }).run(signal);
      await wakeup.wait(clock, WAIT_MS[outcome], signal);
    }
  } finally {
    unsubscribe();
  }
}

/** Keeps the view in step with the mirrors. @returns what ends that */
function follow({ nodes, projects }: SchedulerDeps, view: FleetView, wakeup: Wakeup): () => void {
  const stopNodes = nodes.onChange(({ object }) => {
    view.noteNode(object.metadata.name);
    wakeup.notify();
  });
  const stopProjects = projects.onChange(({ object }) => {
    view.noteProject(object.metadata.name);
    wakeup.notify();
  });
  return () => {
    stopNodes();
    stopProjects();
  };
}
