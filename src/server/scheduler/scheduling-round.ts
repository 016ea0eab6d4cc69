/**
 * Scheduling round: one pass over the Projects that are due, oldest first; it ends with all its writes done.
 *
 * Callers  scheduler.ts
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Binder, WriteOutcome } from './binder.ts';
import { keyOf, type Demand } from './demand.ts';
import { explain } from './explain.ts';
import type { FleetView } from './fleet-view.ts';
import { countRefusals } from './place.ts';
import { versionOf } from './snapshot.ts';

/** A turn of the event loop may look at this many nodes, some 10 ms; then heartbeats and requests get theirs. */
const NODES_PER_TURN = 200_000;
/** Projects placed in one turn at most, and writes under way at which the pass waits. */
const PROJECTS_PER_TURN = 256;
const MAX_IN_FLIGHT = 1024;

/** No state of the fleet: a Project settled at it is due again. */
const NEVER = -1;

interface RoundDeps {
  readonly view: FleetView;
  readonly binder: Binder;
  readonly clock: Clock;
  readonly log: Logger;
}

type Decision = { readonly node: NodeObject } | { readonly node: undefined; readonly message: string };

export class SchedulingRound {
  readonly #deps: RoundDeps;
  /** name of a Project -> its decision on the way */
  readonly #inFlight = new Map<string, Promise<void>>();
  readonly #outcomes = new Set<WriteOutcome['kind']>();
  readonly #explained = new Explained();
  /** nodes, in this turn */
  #looked = 0;

  constructor(deps: RoundDeps) {
    this.#deps = deps;
  }

  /** Call once. @returns the worst that happened to any Project; what did not end 'written' is due again */
  async run(signal: AbortSignal): Promise<WriteOutcome['kind']> {
    const { view, clock } = this.#deps;
    const due = view.pending.listDue(view.snapshot.roomEpoch);
    let started = 0;
    try {
      for (const project of due) {
        if (started >= PROJECTS_PER_TURN || this.#looked >= NODES_PER_TURN) {
          if (this.#inFlight.size >= MAX_IN_FLIGHT) {
            await Promise.all(this.#inFlight.values());
          }
          started = 0;
          this.#looked = 0;
          await clock.sleep(0, signal);
        }
        this.#inFlight.set(project.metadata.name, this.#attempt(project));
        started += 1;
      }
    } finally {
      await Promise.all(this.#inFlight.values());
    }
    return this.#outcomes.has('failed') ? 'failed' : this.#outcomes.has('conflict') ? 'conflict' : 'written';
  }

  /** One asynchronous function for all of it, and one for the write: each more was 2 % of a placement. */
  async #attempt(project: ProjectObject): Promise<void> {
    const { view, binder, log } = this.#deps;
    const { name } = project.metadata;
    try {
      const decision = this.#choose(project);
      if (decision !== undefined) {
        const { node } = decision;
        const outcome = await (node === undefined ? binder.explain(project, decision.message) : binder.bind(project, node));
        this.#outcomes.add(outcome.kind);
        if (outcome.kind !== 'written') {
          await this.#takeBack(project, outcome.kind, node?.metadata.name);
        } else {
          view.adopt(outcome.project);
          if (node !== undefined) {
            log.info({ project: name, node: node.metadata.name, assignment: outcome.project.status.assignment }, 'project bound');
          }
        }
      }
    } catch (error) {
      log.error({ err: error, project: name }, 'project cannot be scheduled');
      this.#outcomes.add('failed');
    }
    this.#inFlight.delete(name);
  }

  /** @returns undefined where it was deleted, bound or changed since the pass began; a change has made it due again */
  #choose(project: ProjectObject): Decision | undefined {
    const { snapshot, pending } = this.#deps.view;
    const { name } = project.metadata;
    const demand = snapshot.findDemand(name);
    if (demand === undefined || !pending.holds(project)) {
      return undefined;
    }
    const decision = this.#decide(demand);
    if (decision.node === undefined) {
      pending.settle(name, snapshot.roomEpoch);
    } else {
      // counted before the first await, so that the next Project of this pass sees it
      snapshot.assume(name, decision.node.metadata.name, versionOf(project));
    }
    return decision;
  }

  #decide(demand: Demand): Decision {
    const { snapshot } = this.#deps.view;
    const known = this.#explained.find(demand, snapshot.roomEpoch);
    if (known !== undefined) {
      return { node: undefined, message: known };
    }
    const { node, looked } = snapshot.ring.find(demand);
    this.#looked += looked;
    if (node !== undefined) {
      return { node: node.node };
    }
    this.#looked += snapshot.nodes.size;
    const message = explain(countRefusals(snapshot.nodes, demand), demand);
    this.#explained.add(demand, message, snapshot.roomEpoch);
    return { node: undefined, message };
  }

  /** It is due again; what conflicted is read anew. */
  async #takeBack(project: ProjectObject, kind: 'conflict' | 'failed', node: string | undefined): Promise<void> {
    const { view } = this.#deps;
    const { name } = project.metadata;
    view.snapshot.assume(name, undefined, versionOf(project));
    view.pending.settle(name, NEVER);
    if (kind === 'conflict') {
      await view.refresh(name, node);
    }
  }
}

/** Demand key -> why no node takes it, at one state of the fleet: a thousand copies of a Project that fits nowhere are judged once. */
class Explained {
  #epoch = NEVER;
  readonly #messageByKey = new Map<string, string>();

  find(demand: Demand, epoch: number): string | undefined {
    return this.#epoch === epoch ? this.#messageByKey.get(keyOf(demand)) : undefined;
  }

  add(demand: Demand, message: string, epoch: number): void {
    if (this.#epoch !== epoch) {
      this.#messageByKey.clear();
      this.#epoch = epoch;
    }
    this.#messageByKey.set(keyOf(demand), message);
  }
}
