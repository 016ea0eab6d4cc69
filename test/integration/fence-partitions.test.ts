/** Promise 1 under disorder, in virtual time: whatever is cut, killed, deleted, changed or restarted, no two copies ever run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Random } from '../../src/base/random.ts';
import { manifestOf } from '../support/worlds/control-loops.ts';
import { fencedShop, FenceWorld, SHOP } from '../support/worlds/fence-world.ts';

const SEEDS = Number(process.env['FENCE_SEEDS'] ?? '6');
const FIRST_SEED = Number(process.env['FENCE_SEED'] ?? '1');
const MINUTE_MS = 60_000;
const AFTERS = ['40s', '1m', '3m'];

/** Mulberry32: small, and the same for a seed everywhere. */
function randomOf(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  let uuids = 0;
  return { next, uuid: () => `uuid-${seed}-${(uuids += 1)}` };
}

async function start(world: FenceWorld): Promise<void> {
  for (const machine of world.machines) {
    await world.control.setNode(machine.name);
    world.beats.set(machine.name, 0);
    machine.startAgent();
  }
  await world.control.service.create(manifestOf(SHOP, fencedShop('1m')));
  await running(world);
}

/** Waits until the Project runs where the server has it. */
async function running(world: FenceWorld, limitMs = 10 * MINUTE_MS): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 1000) {
    const status = (await world.shop())?.status;
    if (status?.phase === 'Running' && status.nodeRef !== undefined && world.get(status.nodeRef).isRunning) {
      return;
    }
    await world.advance(1000);
  }
  assert.fail(`not Running: ${JSON.stringify((await world.shop())?.status)}`);
}

/** One thing that goes wrong, or is done. */
async function disturb(world: FenceWorld, generation: number): Promise<void> {
  const { random } = world;
  const machine = world.machines[Math.floor(random.next() * world.machines.length)] ?? assert.fail();
  switch (Math.floor(random.next() * 8)) {
    case 0:
    case 1:
    case 2:
      machine.isCut = !machine.isCut;
      break;
    case 3:
      await (machine.hasAgent ? machine.killAgent() : Promise.resolve(machine.startAgent()));
      break;
    case 4:
      await world.apply(fencedShop(AFTERS[Math.floor(random.next() * AFTERS.length)] ?? '1m', generation));
      break;
    case 5:
      await world.restartServer();
      break;
    case 6:
      await world.deleteNode(machine.name);
      break;
    default:
      await world.createNode(machine.name);
      break;
  }
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
  test(`no two copies of a fenced Project run, and one does again when all is mended (seed ${seed})`, async () => {
    const random = randomOf(seed);
    await using world = new FenceWorld(random);
    await start(world);
    for (let generation = 2; generation < 30; generation += 1) {
      await disturb(world, generation);
      await world.advance(Math.ceil(random.next() ** 2 * 240) * 1000);
    }
    for (const machine of world.machines) {
      machine.isCut = false;
      await world.createNode(machine.name);
      if (!machine.hasAgent) {
        machine.startAgent();
      }
    }
    await world.advance(MINUTE_MS);
    await running(world);
  });
}
