/** What a seed stands for: a fleet, what people do to it and what goes wrong with it, and when. Data, so that a failing one can be shrunk. */
import type { FaultStep } from './faults.ts';
import { drawFault } from './faults.ts';
import type { UserStep } from './workload.ts';
import { drawUserStep } from './workload.ts';
import { SeededRandom } from './world/seeded-random.ts';

export type Step = UserStep | FaultStep;

export interface Plan {
  readonly seed: string;
  readonly store: 'memory' | 'sqlite';
  /** how many servers; default: one. More share a database in memory */
  readonly servers?: number;
  readonly machines: readonly string[];
  /** machine -> when it joins, in milliseconds; default: at the start */
  readonly joins?: Readonly<Record<string, number>>;
  /** in order of time */
  readonly steps: readonly Step[];
}

const MINUTE_MS = 60_000;
const START_MS = 20_000; // the fleet comes up first

/** @param seed a number as text */
export function drawPlan(seed: string): Plan {
  const random = new SeededRandom(`plan ${seed}`);
  const count = random.chance(0.01) ? random.between(20, 200) : random.between(1, 5);
  const machines = Array.from({ length: count }, (_, index) => `n${index + 1}`);
  const servers = random.chance(0.35) ? random.between(2, 3) : 1;
  const lastMs = START_MS + random.between(3, 15) * MINUTE_MS;
  const people = random.fork('people');
  const evil = random.fork('faults');
  const late = machines.slice(1).filter(() => people.chance(0.15));
  const joins = Object.fromEntries(late.map((machine) => [machine, people.between(START_MS, lastMs)]));
  const steps = [
    ...drawTimes(people, lastMs, 25_000).map((atMs, index) => drawUserStep(people, { atMs, index, machines })),
    ...drawTimes(evil, lastMs, random.pick([10_000, 30_000, 90_000])).map((atMs) => drawFault(evil, { atMs, machines, servers })),
  ];
  return {
    seed,
    store: random.chance(0.5) ? 'memory' : 'sqlite',
    servers,
    machines,
    joins,
    steps: steps.toSorted((a, b) => a.atMs - b.atMs),
  };
}

function drawTimes(random: SeededRandom, lastMs: number, meanMs: number): readonly number[] {
  const times: number[] = [];
  for (let atMs = START_MS; atMs < lastMs; atMs += Math.ceil(-Math.log(1 - random.next()) * meanMs)) {
    times.push(atMs);
  }
  return times;
}
