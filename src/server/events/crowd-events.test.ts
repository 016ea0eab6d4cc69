import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { createCrowdEvents } from './crowd-events.ts';
import type { EventFact } from './event-fact.ts';

function startCrowds() {
  const clock = new VirtualClock();
  const told: EventFact[] = [];
  const crowds = createCrowdEvents({ clock, recorder: { record: (fact) => void told.push(fact) }, clusterId: 'c1' });
  const ended = new AbortController();
  const running = crowds.run(ended.signal).catch(() => undefined);
  const note = (count: number, reason = 'NodeNotReady'): void => {
    for (let node = 0; node < count; node += 1) {
      crowds.note({ object: { kind: 'Node', name: `worker-${node}`, uid: 'u' }, type: 'Warning', reason, message: '' });
    }
  };
  const dispose = async (): Promise<void> => {
    ended.abort();
    await running;
  };
  return { clock, told, note, [Symbol.asyncDispose]: dispose };
}

test('many nodes that fall silent are told of once, with how many, in which time, and the first names', async () => {
  await using world = startCrowds();
  world.note(3000);
  await world.clock.advance(2000);
  world.note(2000);
  await world.clock.advance(2999);
  assert.deepEqual(world.told, []);
  await world.clock.advance(1);
  assert.deepEqual(world.told, [
    {
      object: { kind: 'Cluster', name: 'cluster', uid: 'c1' },
      type: 'Warning',
      reason: 'ManyNodesNotReady',
      message: '5000 nodes became NotReady within 2 s: worker-0, worker-1, worker-2, worker-3, worker-4 and 4995 more',
    },
  ]);
});

test('few are not, nor is what is no change of state', async () => {
  await using world = startCrowds();
  world.note(49);
  world.note(500, 'Cordoned');
  await world.clock.advance(60_000);
  assert.deepEqual(world.told, []);
});

test('a crowd that does not end is told of each minute', async () => {
  await using world = startCrowds();
  for (let second = 0; second < 125; second += 1) {
    world.note(10, 'NodeReady');
    await world.clock.advance(1000);
  }
  assert.deepEqual(
    world.told.map(({ reason, message }) => `${reason} ${message.split(':')[0]}`),
    ['ManyNodesReady 600 nodes became Ready within 59 s', 'ManyNodesReady 600 nodes became Ready within 59 s'],
  );
});
