/**
 * Node ring: the nodes in a row without end, of which a placement looks at as many as it needs, so that what one costs does not grow
 * with the fleet: 0.4 ms where it looks at each of 10,000 nodes.
 *
 * A fleet of up to WHOLE_FLEET is looked at whole: the best node is the best of all. In a larger one it is the best of the first ENOUGH
 * that take the Project, and the next placement begins where this one ended, so that load still spreads evenly. That no node takes it is
 * only said when each was asked.
 *
 * Owns     the order, which says nothing, and where to begin.
 * Callers  snapshot.ts keeps it; scheduling-round.ts asks it.
 * Source   Kubernetes' scheduler (percentageOfNodesToScore, at least 100 nodes).
 */
import type { Demand } from './demand.ts';
import { findRefusal } from './filters.ts';
import { compareCandidates, scoreLeastAllocated } from './scores.ts';
import type { NodeView } from './snapshot.ts';

/** Fleets of which every node is compared: some 10 us. */
const WHOLE_FLEET = 256;
/** Nodes with room that are compared in larger ones. */
const ENOUGH = 64;

export interface Find {
  /** undefined: no node takes it */
  readonly node: NodeView | undefined;
  /** how many nodes were looked at */
  readonly looked: number;
}

export class NodeRing {
  readonly #views: NodeView[] = [];
  readonly #placeByName = new Map<string, number>();
  #begin = 0;

  get size(): number {
    return this.#views.length;
  }

  set(view: NodeView): void {
    const place = this.#placeByName.get(view.name) ?? this.#views.length;
    this.#views[place] = view;
    this.#placeByName.set(view.name, place);
  }

  /** Another takes the place: the row has no gaps. */
  delete(name: string): void {
    const place = this.#placeByName.get(name);
    if (place === undefined) {
      return;
    }
    const last = this.#views.pop();
    this.#placeByName.delete(name);
    if (last !== undefined && last.name !== name) {
      this.#views[place] = last;
      this.#placeByName.set(last.name, place);
    }
  }

  find(demand: Demand): Find {
    const wished = demand.wishedNode === undefined ? undefined : this.#placeByName.get(demand.wishedNode);
    if (demand.wishedNode !== undefined) {
      const view = wished === undefined ? undefined : this.#views[wished];
      return { node: view !== undefined && findRefusal(view, demand) === undefined ? view : undefined, looked: 1 };
    }
    return this.#search(demand, this.size <= WHOLE_FLEET ? Infinity : ENOUGH);
  }

  #search(demand: Demand, enough: number): Find {
    const views = this.#views;
    let best: NodeView | undefined;
    let bestScore = 0;
    let fitting = 0;
    let looked = 0;
    let place = this.#begin < views.length ? this.#begin : 0;
    for (; looked < views.length && fitting < enough; looked += 1) {
      const view = views[place];
      place = place + 1 === views.length ? 0 : place + 1;
      if (view === undefined || findRefusal(view, demand) !== undefined) {
        continue;
      }
      fitting += 1;
      const score = scoreLeastAllocated(view, demand);
      if (best === undefined || compareCandidates(view, score, best, bestScore) < 0) {
        best = view;
        bestScore = score;
      }
    }
    this.#begin = place;
    return { node: best, looked };
  }
}
