import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../base/random.ts';
import { createMemoryStore } from '../../store/memory-store.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { takeOverTimeout } from './granted-timeout.ts';

test('takeOverTimeout() remembers a longer timeout of before until this process has run for the difference', async () => {
  const clock = new VirtualClock();
  const deps = { store: createMemoryStore({ clock }), clock, random: systemRandom };
  const ended = new AbortController();
  assert.deepEqual(await takeOverTimeout(deps, 90_000), { timeoutMs: 90_000 });
  assert.deepEqual(await takeOverTimeout(deps, 90_000), { timeoutMs: 90_000 });

  const lowered = await takeOverTimeout(deps, 10_000);
  assert.equal(lowered.timeoutMs, 90_000);
  const lowering = lowered.lower?.(ended.signal);
  await clock.advance(79_000);
  assert.equal((await takeOverTimeout(deps, 10_000)).timeoutMs, 90_000, 'a start in between still knows');
  await clock.advance(1000);
  await lowering;
  assert.deepEqual(await takeOverTimeout(deps, 10_000), { timeoutMs: 10_000 });
  assert.deepEqual(await takeOverTimeout(deps, 60_000), { timeoutMs: 60_000 });
});
