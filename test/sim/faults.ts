/** What goes wrong with a fleet. Each fault heals by itself, so that any of them can be left out of a plan. Knows nothing of what people do. */
import type { SeededRandom } from './world/seeded-random.ts';
import { GOOD_LINE } from './world/sim-network.ts';
import type { SimMachine } from './world/sim-machine.ts';
import type { World } from './world/world.ts';

export type FaultStep = { readonly who: 'faults'; readonly atMs: number; readonly forMs: number } & (
  | { readonly does: MachineFault; readonly machine: string }
  | { readonly does: ServerFault; readonly server?: string }
);

const MACHINE_FAULTS = [
  'cut',
  'cut up',
  'cut down',
  'lossy line',
  'slow line',
  'doubling line',
  'kill agent',
  'kill agent and guard',
  'pause agent',
  'power off',
  'clock jump',
  'clock skew',
  'engine down',
  'engine hung',
  'engine errors',
  'engine slow',
  'engine silent',
  'late network',
  'disk full',
  'remove container',
  'stop container',
] as const;
/** In kept plans alone: one more in the list above would make every seed another. */
const KEPT_FAULTS = ['folder read-only'] as const;
const SERVER_FAULTS = ['kill server', 'pause server', 'store stall', 'server clock jump'] as const;
/** Where there are several. */
const CLUSTER_FAULTS = [...SERVER_FAULTS, 'kill leader', 'pause leader', 'cut from store', 'cut from agents', 'cut from servers'] as const;
export type MachineFault = (typeof MACHINE_FAULTS | typeof KEPT_FAULTS)[number];
export type ServerFault = (typeof CLUSTER_FAULTS)[number];

type ServerStep = Extract<FaultStep, { readonly does: ServerFault }>;

const DAY_MS = 86_400_000;

export function drawFault(
  random: SeededRandom,
  { atMs, machines, servers }: { readonly atMs: number; readonly machines: readonly string[]; readonly servers: number },
): FaultStep {
  const forMs = Math.ceil(random.next() ** 2 * 200_000) + 500;
  const at = { who: 'faults', atMs } as const;
  if (random.chance(servers > 1 ? 0.4 : 0.2)) {
    const does = random.pick(servers > 1 ? CLUSTER_FAULTS : SERVER_FAULTS);
    const server = servers > 1 ? { server: `server-${random.between(1, servers)}` } : {};
    return { ...at, ...server, does, forMs: does === 'store stall' ? Math.min(forMs, 10_000) : Math.min(forMs, 100_000) };
  }
  return { ...at, does: random.pick(MACHINE_FAULTS), machine: random.pick(machines), forMs };
}

/** Makes it go wrong. @returns what mends it */
export async function strike(world: World, step: FaultStep): Promise<() => Promise<void> | void> {
  const subject = 'machine' in step ? step.machine : step.server;
  world.trace.add(`fault ${step.does}${subject === undefined ? '' : ` ${subject}`} for ${step.forMs} ms`);
  if (!('machine' in step)) {
    return strikeServer(world, step);
  }
  const machine = world.machines.get(step.machine);
  return machine === undefined ? () => undefined : strikeMachine(machine, step.does, step.forMs);
}

function strikeServer({ server: plane }: World, { does, server: name = '', forMs }: ServerStep): () => Promise<void> | void {
  const isLeaders = does === 'kill leader' || does === 'pause leader';
  const server = (isLeaders ? plane.leader : undefined) ?? plane.find(name);
  switch (does) {
    case 'kill server':
    case 'kill leader':
      server.kill();
      return () => server.start();
    case 'pause server':
    case 'pause leader':
      server.pause();
      return () => server.resume();
    case 'store stall':
      plane.stallStore(forMs);
      return () => undefined;
    case 'server clock jump': {
      const before = server.aheadMs;
      server.aheadMs = before === 0 ? DAY_MS : -before;
      return () => undefined;
    }
    case 'cut from store':
      return setFor(server.databaseLine, { isCut: true }, { isCut: false });
    case 'cut from agents':
      return setFor(server, { isCutFromAgents: true }, { isCutFromAgents: false });
    case 'cut from servers':
      return setFor(server, { isCutFromPeers: true }, { isCutFromPeers: false });
  }
}

function strikeMachine(machine: SimMachine, fault: MachineFault, forMs: number): () => void {
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
    case 'kill agent and guard':
      machine.killAll();
      return () => undefined;
    case 'pause agent':
      machine.pauseAgent();
      return () => machine.resumeAgent();
    case 'power off':
      machine.powerOff();
      return () => machine.powerOn();
    case 'clock jump':
      machine.aheadMs = machine.aheadMs === 0 ? -DAY_MS : 0;
      return () => undefined;
    case 'clock skew':
      machine.aheadMs = (forMs % 120_000) - 60_000; // and stays so
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
    case 'late network':
      return setFor(engineFaults, { isNetworkLate: true }, { isNetworkLate: false });
    case 'disk full':
      return setFor(disk, { isFull: true }, { isFull: false });
    case 'folder read-only':
      return setFor(disk, { isReadOnly: true }, { isReadOnly: false });
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
