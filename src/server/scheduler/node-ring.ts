/**
 * Node ring: the nodes in a row without end, of which a placement looks at as many as it needs, so that what one costs does not grow
 * with the fleet: 0.4 ms where it looks at each of 10,000 nodes.
 *
 * A fleet of up to WHOLE_FLEET is looked at whole: the best node is the best of all. In a larger one it is the best of the first ENOUGH
 * that take the Project, of equals the first, and the next placement begins where this one ended, so that load still spreads evenly. That no
 * node takes it is only said when each was asked.
 *
 * Owns     the order, which says nothing, and where to begin; a copy of the nodes' figures (room-table.ts), which `note` keeps true.
 * Callers  snapshot.ts keeps it; scheduling-round.ts asks it.
 * Source   Kubernetes' scheduler (percentageOfNodesToScore, at least 100 nodes).
 */
import { asksForAmountsAlone, type Demand } from './demand.ts';
import { findRefusal } from './filters.ts';
import { RoomTable } from './room-table.ts';
import type { NodeView } from './snapshot.ts';

/** A node that the ring can take in. */
export interface Placeable extends NodeView {
  /** where in the row it is; the ring's own. Undefined: not in it */
  place: number | undefined;
}

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
  readonly #views: Placeable[] = [];
  readonly #room = new RoomTable();
  readonly #byName: ReadonlyMap<string, NodeView>;
  #begin = 0;

  /** @param byName the same nodes, by name */
  constructor(byName: ReadonlyMap<string, NodeView>) {
    this.#byName = byName;
  }

  get size(): number {
    return this.#views.length;
  }

  add(view: Placeable): void {
    view.place = this.#views.length;
    this.#views.push(view);
    this.#room.write(view.place, view);
  }

  /** Takes in that a node, or what is placed on it, has changed. */
  note(view: Placeable): void {
    if (view.place !== undefined) {
      this.#room.write(view.place, view);
    }
  }

  /** Another takes the place: the row has no gaps. */
  delete(view: Placeable): void {
    const { place } = view;
    if (place === undefined) {
      return;
    }
    view.place = undefined;
    const last = this.#views.pop();
    if (last !== undefined && last !== view) {
      this.#views[place] = last;
      last.place = place;
      this.#room.write(place, last);
    }
  }

  find(demand: Demand): Find {
    if (demand.wishedNode !== undefined) {
      const view = this.#byName.get(demand.wishedNode);
      return { node: view !== undefined && findRefusal(view, demand) === undefined ? view : undefined, looked: 1 };
    }
    return this.#search(demand, this.size <= WHOLE_FLEET);
  }

  #search(demand: Demand, isWhole: boolean): Find {
    const views = this.#views;
    const room = this.#room;
    const isPlain = asksForAmountsAlone(demand);
    const enough = isWhole ? Infinity : ENOUGH;
    let best: number | undefined;
    let bestScore = 0;
    let fitting = 0;
    let looked = 0;
    let place = this.#begin < views.length ? this.#begin : 0;
    for (; looked < views.length && fitting < enough; looked += 1) {
      if (room.takes(place, demand.amounts) && (isPlain || !this.#isRefused(place, demand))) {
        fitting += 1;
        const score = room.score(place, demand.amounts);
        const isBetter = best === undefined || score > bestScore || (score === bestScore && this.#goesBefore(place, best, isWhole));
        if (isBetter) {
          best = place;
          bestScore = score;
        }
      }
      place = place + 1 === views.length ? 0 : place + 1;
    }
    this.#begin = place;
    return { node: best === undefined ? undefined : views[best], looked };
  }

  #isRefused(place: number, demand: Demand): boolean {
    const view = this.#views[place];
    return view === undefined || findRefusal(view, demand) !== undefined;
  }

  /** Which of two nodes of one score, as `compareCandidates`; names, each a fetch, are not read where the part looked at is any. */
  #goesBefore(left: number, right: number, byName: boolean): boolean {
    const difference = this.#room.projectCount(left) - this.#room.projectCount(right);
    return difference < 0 || (difference === 0 && byName && this.#nameOf(left) < this.#nameOf(right));
  }

  #nameOf(place: number): string {
    return this.#views[place]?.name ?? '';
  }
}
