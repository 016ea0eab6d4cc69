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
const LONGEST_BURST_MS = 5000;
const SMALL = 5; // machines
/** seed -> how many machines */
const LARGE: ReadonlyMap<number, number> = new Map([
  [10, 20],
  [40, 60],
  [90, 200],
]);
const START_MS = 20_000; // the fleet comes up first

/** @param seed a number as text */
export function drawPlan(seed: string): Plan {
  const random = new SeededRandom(`plan ${seed}`);
  const count = drawSize(random, Number(seed));
  const machines = Array.from({ length: count }, (_, index) => `n${index + 1}`);
  const servers = random.chance(0.35) ? random.between(2, 3) : 1;
  const lastMs = START_MS + (random.between(3, 15) * MINUTE_MS) / (count > SMALL ? 4 : 1);
  const people = random.fork('people');
  const evil = random.fork('faults');
  const late = machines.slice(1).filter(() => people.chance(0.15));
  const joins = Object.fromEntries(late.map((machine) => [machine, people.between(START_MS, lastMs)]));
  const steps = [
    ...drawTimes(people, lastMs, count > SMALL ? 5000 : 25_000).map((atMs, index) => drawUserStep(people, { atMs, index, machines })),
    ...drawTimes(evil, lastMs, random.pick([10_000, 30_000, 90_000]) / (count > SMALL ? 5 : 1)).flatMap((atMs) =>
      drawTrouble(evil, { atMs, machines, servers }),
    ),
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

/** Most fleets are small, where things happen again and again to the same; some of the first seeds, which every run has, are not. */
function drawSize(random: SeededRandom, seed: number): number {
  const [small, large, isLarge] = [random.between(1, SMALL), random.between(20, 200), random.chance(0.01)];
  return LARGE.get(seed) ?? (isLarge ? large : small);
}

/** What goes wrong seldom goes wrong alone. */
function drawTrouble(
  random: SeededRandom,
  { atMs, machines, servers }: { readonly atMs: number; readonly machines: readonly string[]; readonly servers: number },
): readonly FaultStep[] {
  const first = drawFault(random, { atMs, machines, servers });
  const same = 'machine' in first ? [first.machine] : [random.pick(machines)];
  const more = random.chance(0.15) ? random.between(1, 3) : 0;
  const others = Array.from({ length: more }, () =>
    drawFault(random, { atMs: atMs + random.between(0, LONGEST_BURST_MS), machines: same, servers }),
  );
  return [first, ...others];
}

function drawTimes(random: SeededRandom, lastMs: number, meanMs: number): readonly number[] {
  const times: number[] = [];
  for (let atMs = START_MS; atMs < lastMs; atMs += Math.ceil(-Math.log(1 - random.next()) * meanMs)) {
    times.push(atMs);
  }
  return times;
}
