/**
 * Room table: what the nodes of the ring have to give and what is placed on them, as numbers side by side. A search reads them of 64 nodes
 * and more; of the views each would be three places in memory to fetch (view, sums, and the box that V8 keeps a number beyond 2^31 in),
 * and two thirds of what choosing costs.
 *
 * Owns     a copy of these figures by place in the ring; the views are the truth. 48 bytes a node.
 * Callers  node-ring.ts
 */
import type { Amounts } from '../../api/resource-amounts.ts';
import { scoreLeft } from './scores.ts';
import type { NodeView } from './snapshot.ts';

const CPU = 0;
const CPU_PLACED = 1;
const MEMORY = 2;
const MEMORY_PLACED = 3;
const DISK_FREE = 4;
const PROJECTS = 5;
const COLUMNS = 6;

/** In place of the count of Projects: the node takes none. */
const CLOSED = -1;

export class RoomTable {
  #numbers = new Float64Array(COLUMNS);

  /** Takes in what a node has and holds now. What it does not report is as none of it: neither fits what asks for some. */
  write(place: number, { allocatable, placed, stateRefusal, projectCount }: NodeView): void {
    const row = place * COLUMNS;
    if (row >= this.#numbers.length) {
      const larger = new Float64Array(COLUMNS * Math.ceil((place + 1) * 1.25));
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    const numbers = this.#numbers;
    numbers[row + CPU] = allocatable.cpuMillis ?? 0;
    numbers[row + CPU_PLACED] = placed.cpuMillis;
    numbers[row + MEMORY] = allocatable.memoryBytes ?? 0;
    numbers[row + MEMORY_PLACED] = placed.memoryBytes;
    numbers[row + DISK_FREE] = (allocatable.diskBytes ?? 0) - placed.diskBytes;
    numbers[row + PROJECTS] = stateRefusal === undefined ? projectCount : CLOSED;
  }

  /** Whether the node takes what asks for nothing but amounts. As `findRefusal`, which says why not. */
  takes(place: number, { cpuMillis, memoryBytes, diskBytes }: Amounts): boolean {
    return (
      this.#read(place, PROJECTS) !== CLOSED &&
      (cpuMillis === 0 || cpuMillis <= this.#read(place, CPU) - this.#read(place, CPU_PLACED)) &&
      (memoryBytes === 0 || memoryBytes <= this.#read(place, MEMORY) - this.#read(place, MEMORY_PLACED)) &&
      (diskBytes === 0 || diskBytes <= this.#read(place, DISK_FREE))
    );
  }

  /** As `scoreLeastAllocated`. */
  score(place: number, { cpuMillis, memoryBytes }: Amounts): number {
    return scoreLeft(
      { total: this.#read(place, CPU), used: this.#read(place, CPU_PLACED) + cpuMillis },
      { total: this.#read(place, MEMORY), used: this.#read(place, MEMORY_PLACED) + memoryBytes },
    );
  }

  /** Of a node that takes some. */
  projectCount(place: number): number {
    return this.#read(place, PROJECTS);
  }

  #read(place: number, column: number): number {
    return this.#numbers[place * COLUMNS + column] ?? 0;
  }
}
