import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hasReason } from '../../api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { draft } from '../../../test/support/stores/store-backends.ts';
import { fenceStore, findLeader, writeLeader } from './leader-record.ts';

it('what an ex-leader commits is not done, whatever else it names; its refusals stay what they are while it leads', async () => {
  const store = createMemoryStore({ clock: systemClock });
  const first = await writeLeader(store, { id: '1', name: 'one', url: 'http://one' }, systemClock);
  let deposed = 0;
  const fenced = fenceStore(store, first, { isOver: () => false, onDeposed: () => (deposed += 1) });
  const [made] = await fenced.commit([{ op: 'create', object: draft('a') }]);
  assert.equal(made?.metadata.name, 'a', 'results are those of its own writes');
  await assert.rejects(fenced.commit([{ op: 'update', object: draft('a', 1), expectedVersion: '99' }]), (error) =>
    hasReason(error, 'Conflict'),
  );
  assert.deepEqual(await fenced.commit([]), []);
  assert.equal(deposed, 0);

  const second = await writeLeader(store, { id: '2', name: 'two', url: 'http://two' }, systemClock);
  assert.deepEqual([first.epoch, second.epoch, (await findLeader(store))?.server.name], [1, 2, 'two']);
  await assert.rejects(fenced.commit([{ op: 'update', object: draft('a', 2) }]), (error) => hasReason(error, 'Unavailable'));
  await assert.rejects(fenced.commit([{ op: 'create', object: draft('b') }]), (error) => hasReason(error, 'Unavailable'));
  assert.equal(deposed, 2);
  assert.equal((await store.list('Thing')).items.length, 1);
});

it('what a request writes that began while its server led is not done when that is over, though nobody else leads yet', async () => {
  const store = createMemoryStore({ clock: systemClock });
  const record = await writeLeader(store, { id: '1', name: 'one', url: 'http://one' }, systemClock);
  let isOver = false;
  const fenced = fenceStore(store, record, { isOver: () => isOver, onDeposed: () => assert.fail('it has ended by itself') });
  await fenced.commit([{ op: 'create', object: draft('a') }]);
  isOver = true;
  await assert.rejects(fenced.commit([{ op: 'create', object: draft('b') }]), (error) => hasReason(error, 'Unavailable'));
  assert.deepEqual(
    (await store.list('Thing')).items.map(({ metadata }) => metadata.name),
    ['a'],
  );
});
