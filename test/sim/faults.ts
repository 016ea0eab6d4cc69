/** What goes wrong with a fleet. Each fault heals by itself, so that any of them can be left out of a plan. Knows nothing of what people do. */
import type { SeededRandom } from './world/seeded-random.ts';
import { GOOD_LINE } from './world/sim-network.ts';
import type { SimMachine } from './world/sim-machine.ts';
import type { World } from './world/world.ts';

export type FaultStep = { readonly who: 'faults'; readonly atMs: number; readonly forMs: number } & (
  | { readonly does: MachineFault; readonly machine: string }
  | { readonly does: ServerFault }
);

const MACHINE_FAULTS = [
  'cut',
  'cut up',
  'cut down',
  'lossy line',
  'slow line',
  'doubling line',
  'kill agent',
  'pause agent',
  'power off',
  'clock jump',
  'engine down',
  'engine hung',
  'engine errors',
  'engine slow',
  'engine silent',
  'disk full',
  'remove container',
  'stop container',
] as const;
const SERVER_FAULTS = ['kill server', 'pause server', 'store stall', 'server clock jump'] as const;
export type MachineFault = (typeof MACHINE_FAULTS)[number];
export type ServerFault = (typeof SERVER_FAULTS)[number];

const DAY_MS = 86_400_000;

export function drawFault(
  random: SeededRandom,
  { atMs, machines }: { readonly atMs: number; readonly machines: readonly string[] },
): FaultStep {
  const forMs = Math.ceil(random.next() ** 2 * 200_000) + 500;
  const at = { who: 'faults', atMs } as const;
  if (random.chance(0.2)) {
    const does = random.pick(SERVER_FAULTS);
    return { ...at, does, forMs: does === 'store stall' ? Math.min(forMs, 10_000) : Math.min(forMs, 100_000) };
  }
  return { ...at, does: random.pick(MACHINE_FAULTS), machine: random.pick(machines), forMs };
}

/** Makes it go wrong. @returns what mends it */
export async function strike(world: World, step: FaultStep): Promise<() => Promise<void> | void> {
  world.trace.add(`fault ${step.does}${'machine' in step ? ` ${step.machine}` : ''} for ${step.forMs} ms`);
  if (!('machine' in step)) {
    return strikeServer(world, step.does, step.forMs);
  }
  const machine = world.machines.get(step.machine);
  return machine === undefined ? () => undefined : strikeMachine(machine, step.does);
}

function strikeServer({ server }: World, fault: ServerFault, forMs: number): () => Promise<void> | void {
  switch (fault) {
    case 'kill server':
      server.kill();
      return async () => await server.start();
    case 'pause server':
      server.pause();
      return () => server.resume();
    case 'store stall':
      server.stallStore(forMs);
      return () => undefined;
    case 'server clock jump': {
      const before = server.aheadMs;
      server.aheadMs = before === 0 ? DAY_MS : -before;
      return () => undefined;
    }
  }
}

function strikeMachine(machine: SimMachine, fault: MachineFault): () => void {
  const { line, engineFaults, disk } = machine;
  switch (fault) {
    case 'cut':
      return setFor(line, { isCutUp: true, isCutDown: true }, GOOD_LINE);
    case 'cut up':
      return setFor(line, { isCutUp: true }, GOOD_LINE);
    case 'cut down':
      return setFor(line, { isCutDown: true }, GOOD_LINE);
    case 'lossy line':
      return setFor(line, { lossRate: 0.3 }, GOOD_LINE);
    case 'slow line':
      return setFor(line, { maxDelayMs: 4000 }, GOOD_LINE);
    case 'doubling line':
      return setFor(line, { duplicateRate: 0.5, maxDelayMs: 2000 }, GOOD_LINE);
    case 'kill agent':
      machine.killAgent();
      return () => machine.startAgent();
    case 'pause agent':
      machine.pauseAgent();
      return () => machine.resumeAgent();
    case 'power off':
      machine.powerOff();
      return () => machine.powerOn();
    case 'clock jump':
      machine.aheadMs = machine.aheadMs === 0 ? -DAY_MS : 0;
      return () => undefined;
    case 'engine down':
      return setFor(engineFaults, { isDown: true }, { isDown: false });
    case 'engine hung':
      return setFor(engineFaults, { isHung: true }, { isHung: false });
    case 'engine errors':
      return setFor(engineFaults, { errorRate: 0.5 }, { errorRate: 0 });
    case 'engine slow':
      return setFor(engineFaults, { maxDelayMs: 8000 }, { maxDelayMs: 20 });
    case 'engine silent':
      return setFor(engineFaults, { losesEvents: true }, { losesEvents: false });
    case 'disk full':
      return setFor(disk, { isFull: true }, { isFull: false });
    case 'remove container':
    case 'stop container':
      interfere(machine, fault);
      return () => undefined;
  }
}

/** Someone at the machine, by hand. */
function interfere(machine: SimMachine, fault: 'remove container' | 'stop container'): void {
  const [container] = machine.model.containers.values();
  if (container?.state.isRunning === true) {
    machine.handTouched.add(container.id);
    if (fault === 'stop container') {
      machine.model.exit(container.name, 143);
    } else {
      machine.model.exit(container.name, 137);
      machine.model.destroy(container.name);
    }
  }
}

function setFor<Target extends object>(target: Target, values: Partial<Target>, good: Partial<Target>): () => void {
  Object.assign(target, values);
  const names = Object.keys(values) as (keyof Target)[];
  return () => names.forEach((name) => Object.assign(target, { [name]: good[name] }));
}
