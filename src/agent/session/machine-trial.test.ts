import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundOf } from '../../../test/support/objects/resources.ts';
import { silentLog } from '../../../test/support/stores/store-backends.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { NO_FENCE, type FenceState } from '../reconcile/fence-gate.ts';
import { MachineTrial } from './machine-trial.ts';

const ALONE_MS = 90_000;
const SHOP = boundOf('shop', 'n1');
const FOREVER = new AbortController().signal;

class World implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly woken: string[] = [];
  inner: FenceState = 'open';
  isUnproven: boolean;
  isDiskFull = false;
  dues = 0;
  readonly trial: MachineTrial;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;

  constructor(isUnproven = true) {
    this.isUnproven = isUnproven;
    this.trial = new MachineTrial({
      identity: {
        isUnproven: () => this.isUnproven,
        prove: async () => {
          if (this.isDiskFull) {
            throw new Error('no space');
          }
          this.isUnproven = false;
          await Promise.resolve();
        },
      },
      inner: { ...NO_FENCE, stateOf: () => this.inner },
      projects: () => ['shop'],
      aloneAfterMs: ALONE_MS,
      onDue: () => (this.dues += 1),
      clock: this.clock,
      log: silentLog,
    });
    this.trial.subscribe((project) => this.woken.push(project));
    this.#running = this.trial.run(this.#ended.signal).catch(() => undefined);
  }

  async start(containerId: string): Promise<void> {
    await this.trial.admit(SHOP, containerId, FOREVER);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }
}

test('a restart of the agent on the same machine is no trial', async () => {
  await using world = new World(false);
  assert.equal(world.trial.stateOf(SHOP), 'open');
  await world.start('c1');
  world.trial.refused();
  assert.equal(world.trial.stateOf(SHOP), 'open'); // it has been here all the time: promise 2
  assert.equal(world.trial.recalled().size, 0);
});

test('nothing is started while the server says so; it is asked again when the time is over, and then all is', async () => {
  await using world = new World();
  assert.equal(world.trial.stateOf(SHOP), 'held');
  world.trial.heard(30_000);
  await assert.rejects(world.start('c1'), /another machine of the same identity may be up/u);
  await world.clock.advance(29_000);
  assert.equal(world.dues, 0);
  await world.clock.advance(1000);
  assert.equal(world.dues, 1);
  assert.equal(world.trial.stateOf(SHOP), 'held'); // until it says so
  world.trial.heard(0);
  assert.equal(world.trial.stateOf(SHOP), 'open');
  assert.deepEqual(world.woken, ['shop']);
  await world.start('c1');
  assert.deepEqual([...world.trial.recalled()], ['c1']);
  assert.ok(world.isUnproven);
  world.trial.heard(undefined);
  await world.clock.advance(0);
  assert.equal(world.isUnproven, false);
  world.trial.refused();
  assert.equal(world.trial.stateOf(SHOP), 'open');
});

test('a refusal takes back what was started, and nothing else, and nothing is started any more', async () => {
  await using world = new World();
  world.trial.heard(0);
  await world.start('c1');
  world.trial.refused();
  assert.equal(world.trial.stateOf(SHOP), 'recalled');
  assert.deepEqual([...world.trial.recalled()], ['c1']);
  await assert.rejects(world.start('c2'), /may be up/u);
  await world.clock.advance(10 * ALONE_MS);
  assert.equal(world.trial.stateOf(SHOP), 'recalled', 'time alone changes nothing');
  world.trial.heard(undefined); // a user has given it the name
  assert.equal(world.trial.stateOf(SHOP), 'open');
});

test('a machine that cannot ask does its work after three intervals, and is held again when the server answers so', async () => {
  await using world = new World();
  await world.clock.advance(ALONE_MS - 1);
  assert.equal(world.trial.stateOf(SHOP), 'held');
  await world.clock.advance(1);
  assert.equal(world.trial.stateOf(SHOP), 'open');
  await world.start('c1');
  world.trial.heard(10_000);
  assert.equal(world.trial.stateOf(SHOP), 'held'); // c1 runs on
  await world.clock.advance(ALONE_MS - 1);
  assert.equal(world.trial.stateOf(SHOP), 'held', 'counts from the last word');
});

test('what the fence closes stays closed in every state', async () => {
  await using world = new World();
  world.inner = 'closed';
  for (const act of [() => undefined, () => world.trial.heard(0), () => world.trial.refused(), () => world.trial.heard(undefined)]) {
    act();
    assert.equal(world.trial.stateOf(SHOP), 'closed');
  }
});

test('an identity file that cannot be written is written later', async () => {
  await using world = new World();
  world.isDiskFull = true;
  world.trial.heard(undefined);
  await world.clock.advance(1000);
  assert.equal(world.isUnproven, true);
  assert.equal(world.trial.stateOf(SHOP), 'open');
  world.isDiskFull = false;
  await world.clock.advance(30_000);
  assert.equal(world.isUnproven, false);
});
