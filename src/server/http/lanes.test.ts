import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { ApiError, hasReason } from '../../api/errors.ts';
import { Lanes, type Lane, type Leave } from './lanes.ts';

class World implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly lanes = new Lanes({ clock: this.clock, random: { next: () => 0.5, uuid: () => '' } });
  /** who was let in, in order */
  readonly begun: string[] = [];
  readonly refused: [string, unknown][] = [];
  readonly leaves = new Map<string, Leave>();
  readonly #stop = new AbortController();
  readonly #running = this.lanes.run(this.#stop.signal).catch(() => undefined);

  enter(lane: Lane, name: string): void {
    const letIn = (leave: Leave): void => {
      this.begun.push(name);
      this.leaves.set(name, leave);
    };
    try {
      const entered = this.lanes.enter(lane);
      if (entered instanceof Promise) {
        void entered.then(letIn, (error: unknown) => this.refused.push([name, error]));
      } else {
        letIn(entered);
      }
    } catch (error) {
      this.refused.push([name, error]);
    }
  }

  /** `count` at once, named x0, x1 and so on. */
  crowd(lane: Lane, count: number, name = lane[0] ?? ''): void {
    for (let index = 0; index < count; index += 1) {
      this.enter(lane, `${name}${index}`);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

test('a request that comes alone is let in at once, whatever its lane', async () => {
  await using world = new World();
  for (const lane of ['bulk', 'people', 'agents'] as const) {
    world.enter(lane, lane);
    await world.clock.settle();
  }
  assert.deepEqual(world.begun, ['bulk', 'people', 'agents']);
});

test('of a crowd some are let in each turn: agents first, then people, then bulk', async () => {
  await using world = new World();
  world.crowd('bulk', 20);
  world.crowd('people', 100);
  world.crowd('agents', 200);
  assert.deepEqual([countOf(world, 'b'), countOf(world, 'p'), countOf(world, 'a')], [1, 32, 64]);
  const steps = [];
  for (let index = 0; index < 40; index += 1) {
    await turn();
    steps.push([countOf(world, 'b'), countOf(world, 'p'), countOf(world, 'a')].join(' '));
  }
  const distinct = [...new Set(steps)];
  for (const step of distinct) {
    const [bulk = 0, people = 0, agents = 0] = step.split(' ').map(Number);
    assert.ok(people === 32 || agents === 200, `people before agents: ${step}`);
    assert.ok(bulk === 1 || people === 100, `bulk before people: ${step}`);
  }
  assert.ok(distinct.length > 5, distinct.join(', '));
  assert.equal(distinct.at(-1), '4 100 200'); // four lists at a time
});

test('who asks for much waits for a place, which is given up, or held for so long that it counts no more', async () => {
  await using world = new World();
  world.crowd('bulk', 6);
  await world.clock.settle();
  await world.clock.settle();
  assert.equal(world.begun.length, 4);
  world.leaves.get('b0')?.();
  world.leaves.get('b0')?.(); // twice is once
  await world.clock.settle();
  assert.deepEqual(world.begun.slice(4), ['b4']);
  await world.clock.advance(4_999);
  assert.equal(world.begun.length, 5);
  await world.clock.advance(1);
  assert.deepEqual(world.begun.slice(5), ['b5']);
});

test('who would wait for too long is refused, and told when to come again', async () => {
  await using world = new World();
  world.crowd('bulk', 1 + 1000 + 2);
  assert.deepEqual(
    world.refused.map(([name]) => name),
    ['b1001', 'b1002'],
  );
  const [, error] = world.refused[0] ?? [];
  assert.ok(error instanceof ApiError && error.reason === 'TooManyRequests' && error.retryAfterMs === 3000);
  for (let index = 0; index < 4; index += 1) {
    await world.clock.settle();
  }
  world.refused.length = 0;
  const { length: before } = world.begun;
  await world.clock.advance(10_000); // none of those who are in gives its place up
  assert.equal(world.lanes.waiting, 0);
  assert.equal(world.refused.length + world.begun.length - before, 1001 - before);
  assert.ok(world.refused.every(([, refusal]) => hasReason(refusal, 'TooManyRequests')));
  world.enter('bulk', 'later');
  await world.clock.advance(5_000);
  assert.ok(world.begun.includes('later'));
});

test('at the end of the server whoever waits is let in, and who comes then too', async () => {
  await using world = new World();
  world.crowd('bulk', 10);
  await world.stop();
  await turn();
  world.enter('bulk', 'later');
  assert.equal(world.begun.length, 11);
  assert.equal(world.lanes.waiting, 0);
});

function countOf({ begun }: World, letter: string): number {
  return begun.filter((name) => name.startsWith(letter)).length;
}
